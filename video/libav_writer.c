/* Encoding: H.264 (VP9 in WebM, GIF with a palette of its own for every frame), the
 * sound of the input copied beside it. */
#define _GNU_SOURCE
#include "video/libav_writer.h"

#ifdef VBG_HAVE_LIBAV

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>

#include "video/libav_fill.h"
#include "video/reader_internal.h"

static const struct {
    const char *suffix, *format, *codec, *spare; /* spare: when codec is not built */
} kinds[] = {
    { "mp4", "mp4", "libx264", "mpeg4" },   { "m4v", "mp4", "libx264", "mpeg4" },
    { "mov", "mov", "libx264", "mpeg4" },   { "mkv", "matroska", "libx264", "mpeg4" },
    { "avi", "avi", "libx264", "mpeg4" },   { "webm", "webm", "libvpx-vp9", "libvpx" },
    { "gif", "gif", "gif", "gif" },         { "ts", "mpegts", "libx264", "mpeg2video" },
    { "mjpeg", "mjpeg", "mjpeg", "mjpeg" }, { "mjpg", "mjpeg", "mjpeg", "mjpeg" },
};
/* The same with an alpha. */
static const struct {
    const char *suffix, *codec;
    enum AVPixelFormat pixels;
} clear_kinds[] = { { "mov", "prores_ks", AV_PIX_FMT_YUVA444P10 },
                    { "webm", "libvpx-vp9", AV_PIX_FMT_YUVA420P } };

enum { KINDS = sizeof kinds / sizeof *kinds };

struct vbg_libav_writer {
    char *shown;
    AVFormatContext *format;
    AVCodecContext *codec;
    AVStream *stream, *audio;
    AVFrame *frame;
    AVPacket *packet;
    AVFilterGraph *graph; /* GIF only */
    AVFilterContext *source, *sink;
    vbg_libav_reader *sound;
    AVRational sound_base;
    int64_t last_pts, last_sound;
    bool header;
    int fd, fd_flags; /* of a stream; fd -1: a file */
    char note[160];
};

static int kind_of(const char *suffix)
{
    for (int i = 0; i < KINDS; i++)
        if (strcasecmp(suffix, kinds[i].suffix) == 0)
            return i;
    return -1;
}

bool vbg_libav_writable(const char *suffix)
{
    return kind_of(suffix) >= 0;
}

static int clear_kind_of(const char *suffix)
{
    for (size_t i = 0; i < sizeof clear_kinds / sizeof *clear_kinds; i++)
        if (strcasecmp(suffix, clear_kinds[i].suffix) == 0)
            return (int)i;
    return -1;
}

bool vbg_libav_alpha(const char *suffix)
{
    return clear_kind_of(suffix) >= 0;
}

static vbg_status refuse(const vbg_libav_writer *w, int code, const char *what,
                         vbg_err *err)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";

    av_strerror(code, text, sizeof text);
    return vbg_fail(err, code == AVERROR(EPIPE) ? VBG_ECANCEL : VBG_EIO, "%s: %s: %s",
                    w->shown, what, text);
}

static vbg_status open_codec(vbg_libav_writer *w, int kind, const vbg_video_opt *o,
                             vbg_err *err)
{
    const int clear = o->alpha ? clear_kind_of(kinds[kind].suffix) : -1;
    const char *name = clear >= 0 ? clear_kinds[clear].codec : kinds[kind].codec;
    const AVCodec *codec = avcodec_find_encoder_by_name(name);
    bool gif = strcmp(kinds[kind].codec, "gif") == 0;
    AVDictionary *opt = NULL;
    char crf[8];

    if (!codec && clear < 0)
        codec = avcodec_find_encoder_by_name(kinds[kind].spare);
    if (!codec)
        return vbg_fail(err, VBG_EUNSUPPORTED, "%s: libav has no encoder %s", w->shown,
                        name);
    w->codec = avcodec_alloc_context3(codec);
    if (!w->codec)
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", w->shown);
    const bool jpeg = strcmp(codec->name, "mjpeg") == 0;
    /* 4:2:0 wants even sides: an odd one is continued by its last pixel. */
    w->codec->width = gif ? o->w : (o->w + 1) & ~1;
    w->codec->height = gif ? o->h : (o->h + 1) & ~1;
    w->codec->framerate = (AVRational){ o->rate_num, o->rate_den };
    w->codec->time_base = gif ? (AVRational){ 1, 100 } : (AVRational){ 1, 90000 };
    if (strncmp(codec->name, "mpeg", 4) == 0 || jpeg)
        w->codec->time_base = av_inv_q(w->codec->framerate);
    w->codec->pix_fmt = clear >= 0 ? clear_kinds[clear].pixels
                        : gif      ? AV_PIX_FMT_PAL8
                        : jpeg     ? AV_PIX_FMT_YUVJ420P
                                   : AV_PIX_FMT_YUV420P;
    w->codec->color_range = o->full_range || jpeg ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
    w->codec->colorspace = o->bt709 ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
    w->codec->color_primaries = o->bt709 ? AVCOL_PRI_BT709 : AVCOL_PRI_SMPTE170M;
    w->codec->color_trc = o->bt709 ? AVCOL_TRC_BT709 : AVCOL_TRC_SMPTE170M;
    w->codec->thread_count = o->threads;
    if (w->format->oformat->flags & AVFMT_GLOBALHEADER)
        w->codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    snprintf(crf, sizeof crf, "%d", o->crf ? o->crf : 20);
    if (strcmp(codec->name, "libx264") == 0) {
        av_dict_set(&opt, "preset", "veryfast", 0);
        if (o->stream) { /* for a reader that waits */
            av_dict_set(&opt, "tune", "zerolatency", 0);
            w->codec->gop_size = 2 * vbg_max_int(1, o->rate_num / o->rate_den);
        }
        av_dict_set(&opt, "crf", crf, 0);
    } else if (strncmp(codec->name, "libvpx", 6) == 0) {
        av_dict_set(&opt, "deadline", "realtime", 0);
        av_dict_set(&opt, "cpu-used", "6", 0);
        av_dict_set(&opt, "crf", "28", 0);
        av_dict_set(&opt, "auto-alt-ref", "0", 0); /* none with an alpha */
        w->codec->bit_rate = 0;
    } else if (strcmp(codec->name, "prores_ks") == 0) {
        av_dict_set(&opt, "profile", "4444", 0);
        av_dict_set(&opt, "vendor", "apl0", 0);
    } else if (!gif) {
        w->codec->flags |= AV_CODEC_FLAG_QSCALE;
        w->codec->global_quality = 4 * FF_QP2LAMBDA;
    }
    int e = avcodec_open2(w->codec, codec, &opt);
    av_dict_free(&opt);
    return e < 0 ? refuse(w, e, codec->name, err) : VBG_OK;
}

/* Frames of 4:2:0 in, pictures with their own palette out. */
static vbg_status open_palette_graph(vbg_libav_writer *w, const vbg_video_opt *o,
                                     vbg_err *err)
{
    char args[200];
    AVFilterInOut *in = avfilter_inout_alloc(), *out = avfilter_inout_alloc();

    w->graph = avfilter_graph_alloc();
    snprintf(args, sizeof args, "video_size=%dx%d:pix_fmt=%d:time_base=1/100", o->w, o->h,
             o->full_range ? AV_PIX_FMT_YUVJ420P : AV_PIX_FMT_YUV420P);
    int e = w->graph && in && out ? 0 : AVERROR(ENOMEM);
    if (e >= 0)
        e = avfilter_graph_create_filter(&w->source, avfilter_get_by_name("buffer"), "in",
                                         args, NULL, w->graph);
    if (e >= 0)
        e = avfilter_graph_create_filter(&w->sink, avfilter_get_by_name("buffersink"),
                                         "out", NULL, NULL, w->graph);
    if (e >= 0) {
        *out = (AVFilterInOut){ av_strdup("in"), w->source, 0, NULL };
        *in = (AVFilterInOut){ av_strdup("out"), w->sink, 0, NULL };
        e = avfilter_graph_parse_ptr(w->graph,
                                     "split[a][b];[a]palettegen=stats_mode=single[p];"
                                     "[b][p]paletteuse=new=1:dither=bayer:bayer_scale=3",
                                     &in, &out, NULL);
    }
    if (e >= 0)
        e = avfilter_graph_config(w->graph, NULL);
    avfilter_inout_free(&in);
    avfilter_inout_free(&out);
    return e < 0 ? refuse(w, e, "palette", err) : VBG_OK;
}

static void add_sound(vbg_libav_writer *w, const vbg_video_opt *o)
{
    int num, den;
    vbg_libav_reader *from = vbg_reader_libav(o->audio_from);
    const AVCodecParameters *par = from ? vbg_libav_audio(from, &num, &den) : NULL;

    if (!par)
        return;
    bool known = avformat_query_codec(w->format->oformat, par->codec_id,
                                      FF_COMPLIANCE_NORMAL) == 1;
    w->audio = known ? avformat_new_stream(w->format, NULL) : NULL;
    if (!w->audio || avcodec_parameters_copy(w->audio->codecpar, par) < 0) {
        snprintf(w->note, sizeof w->note, "the sound (%s) does not fit into a .%s file",
                 avcodec_get_name(par->codec_id), w->format->oformat->name);
        return;
    }
    w->audio->codecpar->codec_tag = 0;
    w->audio->time_base = (AVRational){ num, den };
    w->sound = from;
    w->sound_base = w->audio->time_base;
}

/* All n bytes into a pipe; a reader that takes nothing for so long counts as gone. */
static int send_bytes(void *arg, uint8_t *data, int n)
{
    enum { PATIENCE_MS = 2000 };
    const vbg_libav_writer *w = arg;
    int done = 0;

    while (done < n) {
        struct pollfd p = { .fd = w->fd, .events = POLLOUT };
        if (poll(&p, 1, PATIENCE_MS) == 0)
            return AVERROR(ETIMEDOUT);
        const ssize_t r = write(w->fd, data + done, (size_t)(n - done));
        if (r < 0 && errno != EINTR && errno != EAGAIN)
            return AVERROR(errno);
        done += r > 0 ? (int)r : 0;
    }
    return n;
}

static int open_stream(vbg_libav_writer *w, int fd)
{
    enum { BLOCK = 32768 };
    uint8_t *block = av_malloc(BLOCK);

    w->fd = fd;
    w->fd_flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, w->fd_flags | O_NONBLOCK);
    w->format->pb =
        block ? avio_alloc_context(block, BLOCK, 1, w, NULL, send_bytes, NULL) : NULL;
    w->format->flags |= AVFMT_FLAG_FLUSH_PACKETS | AVFMT_FLAG_CUSTOM_IO;
    if (!w->format->pb)
        av_free(block);
    return w->format->pb ? 0 : AVERROR(ENOMEM);
}

static vbg_status begin(vbg_libav_writer *w, const char *path, const vbg_video_opt *o,
                        vbg_err *err)
{
    w->stream = avformat_new_stream(w->format, NULL);
    if (!w->stream || avcodec_parameters_from_context(w->stream->codecpar, w->codec) < 0)
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", w->shown);
    w->stream->time_base = w->codec->time_base;
    w->stream->avg_frame_rate = w->codec->framerate;
    add_sound(w, o);
    int e = o->stream ? open_stream(w, o->fd)
                      : avio_open(&w->format->pb, path, AVIO_FLAG_WRITE);
    if (e < 0)
        return refuse(w, e, "cannot be written", err);
    e = avformat_write_header(w->format, NULL);
    if (e < 0)
        return refuse(w, e, "header", err);
    w->header = true;
    return VBG_OK;
}

vbg_status vbg_libav_create(vbg_libav_writer **out, const char *path, const char *shown,
                            const vbg_video_opt *o, vbg_err *err)
{
    vbg_libav_writer *w = calloc(1, sizeof *w);
    const char *dot = strrchr(shown, '.');
    int kind = kind_of(o->stream ? o->stream : dot ? dot + 1 : "");
    vbg_status st = VBG_OK;

    if (!w || !(w->shown = strdup(shown))) {
        free(w);
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", shown);
    }
    av_log_set_level(AV_LOG_QUIET);
    w->last_pts = w->last_sound = -1;
    w->fd = -1;
    w->frame = av_frame_alloc();
    w->packet = av_packet_alloc();
    if (!w->frame || !w->packet ||
        avformat_alloc_output_context2(&w->format, NULL, kinds[kind].format, path) < 0)
        st = vbg_fail(err, VBG_ENOMEM, "%s: out of memory", shown);
    if (st == VBG_OK)
        st = open_codec(w, kind, o, err);
    if (st == VBG_OK && w->codec->pix_fmt == AV_PIX_FMT_PAL8)
        st = open_palette_graph(w, o, err);
    if (st == VBG_OK)
        st = begin(w, path, o, err);
    if (st == VBG_OK) {
        *out = w;
        w = NULL;
    }
    vbg_libav_abort(w);
    return st;
}

/* Sound packets up to a time in seconds. */
static vbg_status write_sound(vbg_libav_writer *w, vbg_err *err)
{
    AVPacket *p;

    while (w->sound && (p = vbg_libav_take_audio(w->sound)) != NULL) {
        int64_t shift = llround(vbg_libav_start(w->sound) / av_q2d(w->sound_base));
        p->stream_index = w->audio->index;
        if (p->pts != AV_NOPTS_VALUE)
            p->pts -= shift;
        if (p->dts != AV_NOPTS_VALUE)
            p->dts -= shift;
        p->pos = -1;
        av_packet_rescale_ts(p, w->sound_base, w->audio->time_base);
        bool backward = p->dts != AV_NOPTS_VALUE && p->dts <= w->last_sound;
        if (!backward && p->dts != AV_NOPTS_VALUE)
            w->last_sound = p->dts;
        int e = backward ? 0 : av_interleaved_write_frame(w->format, p);
        av_packet_free(&p);
        if (e < 0)
            return refuse(w, e, "writing the sound", err);
    }
    return VBG_OK;
}

/* frame NULL: drain. */
static vbg_status encode(vbg_libav_writer *w, const AVFrame *frame, vbg_err *err)
{
    int e = avcodec_send_frame(w->codec, frame);

    while (e >= 0) {
        e = avcodec_receive_packet(w->codec, w->packet);
        if (e == AVERROR(EAGAIN) || e == AVERROR_EOF)
            return VBG_OK;
        if (e >= 0) {
            w->packet->stream_index = w->stream->index;
            w->packet->duration =
                av_rescale_q(1, av_inv_q(w->codec->framerate), w->codec->time_base);
            av_packet_rescale_ts(w->packet, w->codec->time_base, w->stream->time_base);
            e = av_interleaved_write_frame(w->format, w->packet);
        }
    }
    return refuse(w, e, "writing", err);
}

/* Through the palette filters (frame NULL: the end), then encoded. */
static vbg_status encode_gif(vbg_libav_writer *w, AVFrame *frame, vbg_err *err)
{
    AVFrame *out = av_frame_alloc();
    int e =
        out ? av_buffersrc_add_frame_flags(w->source, frame, AV_BUFFERSRC_FLAG_KEEP_REF)
            : AVERROR(ENOMEM);
    vbg_status st = e < 0 ? refuse(w, e, "palette", err) : VBG_OK;

    while (st == VBG_OK && av_buffersink_get_frame(w->sink, out) >= 0) {
        out->pict_type = AV_PICTURE_TYPE_NONE;
        st = encode(w, out, err);
        av_frame_unref(out);
    }
    av_frame_free(&out);
    return st;
}

static vbg_status fill_frame(vbg_libav_writer *w, const vbg_frame *f,
                             const vbg_picture *alpha, vbg_err *err)
{
    AVFrame *to = w->frame;

    to->format = !w->graph           ? (int)w->codec->pix_fmt
                 : f->yuv.full_range ? AV_PIX_FMT_YUVJ420P
                                     : AV_PIX_FMT_YUV420P;
    to->width = w->codec->width;
    to->height = w->codec->height;
    to->color_range = w->codec->color_range;
    const int e = vbg_libav_fill(to, f, alpha);
    if (e < 0)
        return refuse(w, e, "frame", err);
    int64_t pts = llround(f->time_s / av_q2d(w->codec->time_base));
    if (pts <= w->last_pts)
        pts = w->last_pts + 1;
    to->pts = w->last_pts = pts;
    to->pict_type = AV_PICTURE_TYPE_NONE;
    return VBG_OK;
}

vbg_status vbg_libav_write(vbg_libav_writer *w, const vbg_frame *f,
                           const vbg_picture *alpha, vbg_err *err)
{
    vbg_status st = fill_frame(w, f, alpha, err);

    if (st == VBG_OK)
        st = w->graph ? encode_gif(w, w->frame, err) : encode(w, w->frame, err);
    return st == VBG_OK ? write_sound(w, err) : st;
}

vbg_status vbg_libav_finish(vbg_libav_writer *w, vbg_err *err)
{
    vbg_status st = w->graph ? encode_gif(w, NULL, err) : VBG_OK;

    if (st == VBG_OK)
        st = encode(w, NULL, err);
    if (st == VBG_OK)
        st = write_sound(w, err);
    if (st == VBG_OK) {
        int e = av_write_trailer(w->format);
        if (e < 0)
            st = refuse(w, e, "writing the end", err);
        if (w->fd < 0)
            e = avio_closep(&w->format->pb);
        if (e < 0 && st == VBG_OK)
            st = refuse(w, e, "closing", err);
    }
    vbg_libav_abort(w);
    return st;
}

void vbg_libav_abort(vbg_libav_writer *w)
{
    if (!w)
        return;
    avfilter_graph_free(&w->graph);
    av_packet_free(&w->packet);
    av_frame_free(&w->frame);
    avcodec_free_context(&w->codec);
    if (w->format && w->format->pb && w->fd < 0)
        avio_closep(&w->format->pb);
    if (w->format && w->format->pb) {
        av_freep(&w->format->pb->buffer);
        avio_context_free(&w->format->pb);
    }
    if (w->fd >= 0)
        fcntl(w->fd, F_SETFL, w->fd_flags);
    avformat_free_context(w->format);
    free(w->shown);
    free(w);
}

const char *vbg_libav_audio_note(const vbg_libav_writer *w)
{
    return w->note;
}

#else /* no libav */

bool vbg_libav_writable(const char *suffix)
{
    (void)suffix;
    return false;
}

vbg_status vbg_libav_create(vbg_libav_writer **out, const char *path, const char *shown,
                            const vbg_video_opt *opt, vbg_err *err)
{
    (void)path;
    (void)opt;
    *out = NULL;
    return vbg_fail(err, VBG_EUNSUPPORTED, "%s: this build writes y4m only", shown);
}

bool vbg_libav_alpha(const char *suffix)
{
    (void)suffix;
    return false;
}

vbg_status vbg_libav_write(vbg_libav_writer *w, const vbg_frame *f,
                           const vbg_picture *alpha, vbg_err *err)
{
    (void)w;
    (void)f;
    (void)alpha;
    return vbg_fail(err, VBG_EUNSUPPORTED, "no libav");
}

vbg_status vbg_libav_finish(vbg_libav_writer *w, vbg_err *err)
{
    (void)w;
    return vbg_fail(err, VBG_EUNSUPPORTED, "no libav");
}

void vbg_libav_abort(vbg_libav_writer *w)
{
    (void)w;
}

const char *vbg_libav_audio_note(const vbg_libav_writer *w)
{
    (void)w;
    return "";
}

#endif
