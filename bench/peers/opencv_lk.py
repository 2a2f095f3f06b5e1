"""OpenCV's times for the tracking rows of vbg-bench run, one thread.

usage: opencv_lk.py FILE    FILE: int32 w, h, n; two w*h 8-bit pictures; n x,y float32
prints: median milliseconds of the pyramids, the corners and the flow call (its two
pyramids included), 15 runs after 2 warm-ups.
"""
import sys
import time

import cv2
import numpy as np

cv2.setNumThreads(1)
data = open(sys.argv[1], "rb").read()
w, h, n = np.frombuffer(data, np.int32, 3)
pictures = np.frombuffer(data, np.uint8, 2 * w * h, 12).reshape(2, h, w)
points = np.frombuffer(data, np.float32, 2 * n, 12 + 2 * int(w) * int(h)).reshape(n, 2)


def median_ms(call):
    times = []
    for i in range(17):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times[2:]))


def flow():
    cv2.calcOpticalFlowPyrLK(
        pictures[0], pictures[1], points, None, winSize=(21, 21), maxLevel=3,
        criteria=(cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 30, 0.01))


print(median_ms(lambda: cv2.buildOpticalFlowPyramid(pictures[0], (21, 21), 3, None, False)),
      median_ms(lambda: cv2.goodFeaturesToTrack(pictures[0], 300, 0.01, 7)),
      median_ms(flow))
