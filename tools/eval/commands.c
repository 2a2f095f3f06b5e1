/* The list of vbg-eval's measurements. */
#include "tools/eval/commands.h"

const vbg_measurement vbg_measurements[] = {
    { "iou", "DIR", "a segmenter on photos NAME.jpg with NAME.mask.png beside them", 1,
      vbg_eval_segment },
    { "flicker", "CLIP...", "how much a segmenter's alpha changes from frame to frame", 1,
      vbg_eval_flicker },
    { "matting", "TRUTH ALPHA", "two folders of mattes, frame by frame", 2,
      vbg_eval_matting },
    { "overlap", "DIR...", "whether the views 0.png, 1.png, ... of rooms agree", 1,
      vbg_eval_overlap },
    { "seam", "PANORAMA...", "whether panoramas close at 0/360 degrees", 1,
      vbg_eval_seam },
    { "fid", "A B", "Frechet distance of two folders or feature files", 2, vbg_eval_fid },
    { "is", "A", "inception score of a file of logits", 1, vbg_eval_is },
    { "adherence", "PROMPTS.json",
      "whether rooms show what their sentences say, by a judge", 0, vbg_eval_adherence },
    { "variety", "DIR...", "how different the pictures of one sentence are", 1,
      vbg_eval_variety },
    { "nearest", "PICTURES TRAIN",
      "the training pictures that are most alike, as a sheet", 2, vbg_eval_nearest },
    { "clip", "DIR", "pictures x.jpg against their texts x.txt, by a two-tower model", 1,
      vbg_eval_clip },
    { NULL, NULL, NULL, 0, NULL },
};
