/* Decoding: one video stream, its sound's packets kept for the writer.
 *
 * Containers are limited to a list and protocols to `file`.  Frames are scaled to the
 * first one's size, turned upright, and come out as 4:2:0 with the stream's matrix and
 * range. */
#define _GNU_SOURCE
#include "video/libav_reader.h"

#ifdef VBG_HAVE_LIBAV

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>

enum { BAD_IN_A_ROW = 300, MAX_STREAMS = 64, MAX_AUDIO_PACKETS = 100000 };

typedef struct packet_node {
    AVPacket *packet;
    struct packet_node *next;
} packet_node;

struct vbg_libav_reader {
    char *name;
    AVFormatContext *format;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    struct SwsContext *scale;
    vbg_frame upright; /* before the rotation, when there is one */
    int stream, audio;
    int w, h; /* after rotation */
    int coded_w, coded_h;
    int turns; /* quarter turns clockwise */
    int rate_num, rate_den;
    bool odd_rate, draining, started;
    double start, last;
    int64_t count, skipped;
    int bad;

    pthread_mutex_t lock; /* of the packets of the sound */
    packet_node *first, **tail;
    int waiting;
};

static const char containers[] =
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,gif,apng,mjpeg,yuv4mpegpipe,nut";

static vbg_status refuse(const vbg_libav_reader *r, int code, const char *what,
                         vbg_err *err)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";

    av_strerror(code, text, sizeof text);
    return vbg_fail(err, code == AVERROR(ENOMEM) ? VBG_ENOMEM : VBG_EFORMAT, "%s: %s: %s",
                    r->name, what, text);
}

static vbg_status open_format(vbg_libav_reader *r, const char *path, vbg_err *err)
{
    AVDictionary *opt = NULL;
    char url[4200];

    snprintf(url, sizeof url, "file:%.4100s", path); /* never another protocol */
    av_dict_set(&opt, "format_whitelist", containers, 0);
    av_dict_set(&opt, "protocol_whitelist", "file", 0);
    av_dict_set(&opt, "probesize", "5242880", 0);
    av_dict_set(&opt, "analyzeduration", "5000000", 0);
    av_dict_set(&opt, "enable_drefs", "0", 0);
    int e = avformat_open_input(&r->format, url, NULL, &opt);
    av_dict_free(&opt);
    if (e < 0)
        return refuse(r, e, "is no video that can be read", err);
    if (r->format->nb_streams > MAX_STREAMS)
        return vbg_fail(err, VBG_ELIMIT, "%s: more than %d streams", r->name,
                        MAX_STREAMS);
    e = avformat_find_stream_info(r->format, NULL);
    return e < 0 ? refuse(r, e, "has no readable streams", err) : VBG_OK;
}

static vbg_status open_codec(vbg_libav_reader *r, vbg_err *err)
{
    const AVCodec *codec = NULL;
    int e = av_find_best_stream(r->format, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);

    if (e < 0 || !codec)
        return vbg_fail(err, VBG_EFORMAT, "%s: holds no video", r->name);
    r->stream = e;
    r->audio = av_find_best_stream(r->format, AVMEDIA_TYPE_AUDIO, -1, r->stream, NULL, 0);
    r->codec = avcodec_alloc_context3(codec);
    r->packet = av_packet_alloc();
    r->frame = av_frame_alloc();
    if (!r->codec || !r->packet || !r->frame)
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", r->name);
    const AVCodecParameters *par = r->format->streams[r->stream]->codecpar;
    e = avcodec_parameters_to_context(r->codec, par);
    if (e < 0)
        return refuse(r, e, "codec", err);
    if (par->width < 1 || par->height < 1 || par->width > VBG_VIDEO_MAX_SIDE ||
        par->height > VBG_VIDEO_MAX_SIDE ||
        (int64_t)par->width * par->height > VBG_VIDEO_MAX_PIXELS)
        return vbg_fail(err, VBG_ELIMIT, "%s: frames of %dx%d are not handled", r->name,
                        par->width, par->height);
    r->codec->max_pixels = VBG_VIDEO_MAX_PIXELS;
    r->codec->thread_count = 2;
    e = avcodec_open2(r->codec, codec, NULL);
    return e < 0 ? refuse(r, e, "codec", err) : VBG_OK;
}

/* Quarter turns clockwise that make the picture upright. */
static int quarter_turns(const AVStream *s)
{
    const uint8_t *m = av_stream_get_side_data(s, AV_PKT_DATA_DISPLAYMATRIX, NULL);
    double angle = m ? av_display_rotation_get((const int32_t *)(const void *)m) : 0;

    if (!isfinite(angle))
        return 0;
    return ((int)lround(-angle / 90) % 4 + 4) % 4;
}

static void read_rate(vbg_libav_reader *r)
{
    AVStream *s = r->format->streams[r->stream];
    AVRational rate = av_guess_frame_rate(r->format, s, NULL);
    double v = rate.den ? av_q2d(rate) : 0;

    if (!(v >= 0.1 && v <= 1000)) {
        r->odd_rate = true;
        rate = (AVRational){ 25, 1 };
    }
    r->rate_num = rate.num;
    r->rate_den = rate.den;
}

vbg_status vbg_libav_open(vbg_libav_reader **out, const char *path, vbg_err *err)
{
    vbg_libav_reader *r = calloc(1, sizeof *r);

    if (!r || !(r->name = strdup(path))) {
        free(r);
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", path);
    }
    pthread_mutex_init(&r->lock, NULL);
    r->tail = &r->first;
    r->audio = -1;
    av_log_set_level(AV_LOG_QUIET);
    vbg_status st = open_format(r, path, err);
    if (st == VBG_OK)
        st = open_codec(r, err);
    if (st == VBG_OK) {
        r->turns = quarter_turns(r->format->streams[r->stream]);
        r->coded_w = r->codec->width;
        r->coded_h = r->codec->height;
        r->w = r->turns % 2 ? r->coded_h : r->coded_w;
        r->h = r->turns % 2 ? r->coded_w : r->coded_h;
        read_rate(r);
        if (r->turns)
            st = vbg_frame_new(&r->upright, r->coded_w, r->coded_h, err);
    }
    if (st == VBG_OK) {
        *out = r;
        r = NULL;
    }
    vbg_libav_close(r);
    return st;
}

static void drop_audio(vbg_libav_reader *r)
{
    for (packet_node *n = r->first; n;) {
        packet_node *next = n->next;
        av_packet_free(&n->packet);
        free(n);
        n = next;
    }
    r->first = NULL;
    r->tail = &r->first;
    r->waiting = 0;
}

void vbg_libav_close(vbg_libav_reader *r)
{
    if (!r)
        return;
    drop_audio(r);
    sws_freeContext(r->scale);
    av_frame_free(&r->frame);
    av_packet_free(&r->packet);
    avcodec_free_context(&r->codec);
    avformat_close_input(&r->format);
    vbg_frame_free(&r->upright);
    pthread_mutex_destroy(&r->lock);
    free(r->name);
    free(r);
}

void vbg_libav_get_info(const vbg_libav_reader *r, vbg_reader_info *info)
{
    const AVStream *s = r->format->streams[r->stream];

    *info = (vbg_reader_info){ .w = r->w,
                               .h = r->h,
                               .rate_num = r->rate_num,
                               .rate_den = r->rate_den,
                               .odd_rate = r->odd_rate,
                               .frames = s->nb_frames > 0 ? s->nb_frames : 0,
                               .has_audio = r->audio >= 0 };
    if (r->format->duration > 0)
        info->duration_s = (double)r->format->duration / AV_TIME_BASE;
    if (!info->frames && info->duration_s > 0 && info->duration_s < 1e6)
        info->frames = (int64_t)(info->duration_s * r->rate_num / r->rate_den + 0.5);
    snprintf(info->format, sizeof info->format, "%s", r->format->iformat->name);
}

int64_t vbg_libav_skipped(const vbg_libav_reader *r)
{
    return r->skipped;
}

/* ---- sound ---- */

static void keep_audio(vbg_libav_reader *r)
{
    packet_node *n = calloc(1, sizeof *n);
    AVPacket *p = n ? av_packet_clone(r->packet) : NULL;

    if (!p) {
        free(n);
        return;
    }
    n->packet = p;
    pthread_mutex_lock(&r->lock);
    if (r->waiting < MAX_AUDIO_PACKETS) {
        *r->tail = n;
        r->tail = &n->next;
        r->waiting++;
        n = NULL;
    }
    pthread_mutex_unlock(&r->lock);
    if (n) { /* nobody takes them: keep memory bounded */
        av_packet_free(&n->packet);
        free(n);
    }
}

const void *vbg_libav_audio(const vbg_libav_reader *r, int *tb_num, int *tb_den)
{
    if (r->audio < 0)
        return NULL;
    const AVStream *s = r->format->streams[r->audio];
    *tb_num = s->time_base.num;
    *tb_den = s->time_base.den;
    return s->codecpar;
}

void *vbg_libav_take_audio(vbg_libav_reader *r)
{
    pthread_mutex_lock(&r->lock);
    packet_node *n = r->first;
    if (n) {
        r->first = n->next;
        if (!r->first)
            r->tail = &r->first;
        r->waiting--;
    }
    pthread_mutex_unlock(&r->lock);
    AVPacket *p = n ? n->packet : NULL;
    free(n);
    return p;
}

double vbg_libav_start(const vbg_libav_reader *r)
{
    return r->start;
}

/* ---- frames ---- */

/* Receives one decoded frame into r->frame; 0 none yet, 1 yes, -1 the end. */
static int receive(vbg_libav_reader *r)
{
    for (;;) {
        int e = avcodec_receive_frame(r->codec, r->frame);
        if (e == 0) {
            if ((r->frame->flags & AV_FRAME_FLAG_CORRUPT) == 0)
                return 1;
            r->skipped++;
            continue;
        }
        if (e == AVERROR_EOF)
            return -1;
        if (e != AVERROR(EAGAIN)) {
            r->skipped++;
            r->bad++;
            return r->draining ? -1 : 0;
        }
        return 0;
    }
}

/* Reads until a frame is decoded; false at the end or after too many bad ones. */
static bool decode(vbg_libav_reader *r)
{
    while (r->bad < BAD_IN_A_ROW) {
        int got = receive(r);
        if (got != 0)
            return got > 0;
        if (r->draining)
            return false;
        int e = av_read_frame(r->format, r->packet);
        if (e < 0) {
            r->draining = true;
            avcodec_send_packet(r->codec, NULL);
            continue;
        }
        if (r->packet->stream_index == r->stream) {
            if (avcodec_send_packet(r->codec, r->packet) < 0) {
                r->skipped++;
                r->bad++;
            }
        } else if (r->packet->stream_index == r->audio) {
            keep_audio(r);
        }
        av_packet_unref(r->packet);
    }
    return false;
}

static void set_times(vbg_libav_reader *r, vbg_frame *f)
{
    const AVStream *s = r->format->streams[r->stream];
    double tick = (double)r->rate_den / r->rate_num;
    int64_t pts = r->frame->best_effort_timestamp;
    double t = pts != AV_NOPTS_VALUE ? (double)pts * av_q2d(s->time_base)
                                     : r->last + (r->started ? tick : 0);

    if (!r->started)
        r->start = t;
    if (!isfinite(t) || (r->started && (t <= r->last || t > r->last + 3600)))
        t = r->last + tick; /* equal, backward or absurd: move on by one frame */
    r->started = true;
    r->last = t;
    f->time_s = t - r->start;
}

/* dst (w x h) = src turned clockwise by quarter turns; one plane. */
static void turn_plane(uint8_t *dst, size_t ds, int w, int h, const uint8_t *src,
                       size_t ss, int turns)
{
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            int sx = turns == 1 ? y : turns == 2 ? w - 1 - x : h - 1 - y;
            int sy = turns == 1 ? w - 1 - x : turns == 2 ? h - 1 - y : x;
            dst[(size_t)y * ds + (size_t)x] = src[(size_t)sy * ss + (size_t)sx];
        }
}

static vbg_status convert(vbg_libav_reader *r, vbg_frame *f, vbg_err *err)
{
    vbg_frame *to = r->turns ? &r->upright : f;
    AVFrame *in = r->frame;
    uint8_t *plane[4] = { to->yuv.plane[0], to->yuv.plane[1], to->yuv.plane[2], NULL };
    int stride[4] = { (int)to->yuv.stride[0], (int)to->yuv.stride[1],
                      (int)to->yuv.stride[2], 0 };
    bool full = in->color_range == AVCOL_RANGE_JPEG ||
                in->format == AV_PIX_FMT_YUVJ420P || in->format == AV_PIX_FMT_YUVJ422P ||
                in->format == AV_PIX_FMT_YUVJ444P || in->format == AV_PIX_FMT_GRAY8;
    bool yuv = in->format == AV_PIX_FMT_YUV420P || in->format == AV_PIX_FMT_YUVJ420P;

    if (in->width == r->coded_w && in->height == r->coded_h && yuv) {
        av_image_copy(plane, stride, (const uint8_t **)(void *)in->data, in->linesize,
                      in->format, in->width, in->height);
    } else {
        enum AVPixelFormat target = full ? AV_PIX_FMT_YUVJ420P : AV_PIX_FMT_YUV420P;
        r->scale =
            sws_getCachedContext(r->scale, in->width, in->height, in->format, r->coded_w,
                                 r->coded_h, target, SWS_BICUBIC, NULL, NULL, NULL);
        if (!r->scale)
            return vbg_fail(err, VBG_EUNSUPPORTED, "%s: pixel format %d is not handled",
                            r->name, in->format);
        sws_scale(r->scale, (const uint8_t *const *)(void *)in->data, in->linesize, 0,
                  in->height, plane, stride);
    }
    for (int p = 0; r->turns && p < 3; p++) {
        int w = p ? (r->w + 1) / 2 : r->w, h = p ? (r->h + 1) / 2 : r->h;
        turn_plane(f->yuv.plane[p], f->yuv.stride[p], w, h, to->yuv.plane[p],
                   to->yuv.stride[p], r->turns);
    }
    f->yuv.full_range = full;
    f->yuv.bt709 = in->colorspace == AVCOL_SPC_BT709 ||
                   (in->colorspace == AVCOL_SPC_UNSPECIFIED && in->height >= 720 && yuv);
    return VBG_OK;
}

vbg_status vbg_libav_next(vbg_libav_reader *r, vbg_frame *f, bool *end, vbg_err *err)
{
    *end = !decode(r);
    if (*end && r->bad >= BAD_IN_A_ROW)
        return vbg_fail(err, VBG_EFORMAT, "%s: %d damaged frames in a row", r->name,
                        BAD_IN_A_ROW);
    if (*end)
        return VBG_OK;
    r->bad = 0;
    vbg_status st = convert(r, f, err);
    set_times(r, f);
    av_frame_unref(r->frame);
    r->count++;
    return st;
}

bool vbg_libav_rewind(vbg_libav_reader *r)
{
    if (av_seek_frame(r->format, r->stream, 0, AVSEEK_FLAG_BACKWARD | AVSEEK_FLAG_ANY) <
        0)
        return false;
    avcodec_flush_buffers(r->codec);
    drop_audio(r);
    r->draining = r->started = false;
    r->last = 0;
    return true;
}

#else /* no libav */

vbg_status vbg_libav_open(vbg_libav_reader **out, const char *path, vbg_err *err)
{
    *out = NULL;
    return vbg_fail(err, VBG_EUNSUPPORTED,
                    "%s: this build reads y4m only; install libavformat-dev and build "
                    "again",
                    path);
}

void vbg_libav_close(vbg_libav_reader *r)
{
    (void)r;
}

void vbg_libav_get_info(const vbg_libav_reader *r, vbg_reader_info *info)
{
    (void)r;
    *info = (vbg_reader_info){ 0 };
}

vbg_status vbg_libav_next(vbg_libav_reader *r, vbg_frame *f, bool *end, vbg_err *err)
{
    (void)r;
    (void)f;
    *end = true;
    return vbg_fail(err, VBG_EUNSUPPORTED, "no libav");
}

int64_t vbg_libav_skipped(const vbg_libav_reader *r)
{
    (void)r;
    return 0;
}

bool vbg_libav_rewind(vbg_libav_reader *r)
{
    (void)r;
    return false;
}

const void *vbg_libav_audio(const vbg_libav_reader *r, int *tb_num, int *tb_den)
{
    (void)r;
    *tb_num = *tb_den = 1;
    return NULL;
}

void *vbg_libav_take_audio(vbg_libav_reader *r)
{
    (void)r;
    return NULL;
}

double vbg_libav_start(const vbg_libav_reader *r)
{
    (void)r;
    return 0;
}

#endif
