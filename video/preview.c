/* The preview window. */
#include "video/preview.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef VBG_HAVE_SDL2
#include <SDL.h>
#include <dlfcn.h>

enum { KEYS = 16 };

typedef struct preview {
    vbg_sink base;
    void *library;
    const char *title;
    SDL_Window *window;
    SDL_Renderer *renderer;
    SDL_Texture *texture;
    int w, h;
    bool started, full;
    _Atomic int keys[KEYS], put, taken;
    /* the library's functions */
    int (*init)(Uint32);
    void (*quit)(Uint32);
    const char *(*error)(void);
    SDL_Window *(*create_window)(const char *, int, int, int, int, Uint32);
    void (*destroy_window)(SDL_Window *);
    int (*set_fullscreen)(SDL_Window *, Uint32);
    SDL_Renderer *(*create_renderer)(SDL_Window *, int, Uint32);
    void (*destroy_renderer)(SDL_Renderer *);
    int (*set_logical_size)(SDL_Renderer *, int, int);
    SDL_Texture *(*create_texture)(SDL_Renderer *, Uint32, int, int, int);
    void (*destroy_texture)(SDL_Texture *);
    int (*update)(SDL_Texture *, const SDL_Rect *, const Uint8 *, int, const Uint8 *, int,
                  const Uint8 *, int);
    int (*clear)(SDL_Renderer *);
    int (*copy)(SDL_Renderer *, SDL_Texture *, const SDL_Rect *, const SDL_Rect *);
    void (*present)(SDL_Renderer *);
    int (*poll)(SDL_Event *);
} preview;

/* Every function or none.  (A function pointer comes out of dlsym as an object's.) */
static bool bind(preview *p)
{
    const struct {
        const char *name;
        void *to;
    } names[] = { { "SDL_InitSubSystem", &p->init },
                  { "SDL_QuitSubSystem", &p->quit },
                  { "SDL_GetError", &p->error },
                  { "SDL_CreateWindow", &p->create_window },
                  { "SDL_DestroyWindow", &p->destroy_window },
                  { "SDL_SetWindowFullscreen", &p->set_fullscreen },
                  { "SDL_CreateRenderer", &p->create_renderer },
                  { "SDL_DestroyRenderer", &p->destroy_renderer },
                  { "SDL_RenderSetLogicalSize", &p->set_logical_size },
                  { "SDL_CreateTexture", &p->create_texture },
                  { "SDL_DestroyTexture", &p->destroy_texture },
                  { "SDL_UpdateYUVTexture", &p->update },
                  { "SDL_RenderClear", &p->clear },
                  { "SDL_RenderCopy", &p->copy },
                  { "SDL_RenderPresent", &p->present },
                  { "SDL_PollEvent", &p->poll } };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *f = dlsym(p->library, names[i].name);
        if (!f)
            return false;
        memcpy(names[i].to, &f, sizeof f);
    }
    return true;
}

static vbg_status open_window(preview *p, const vbg_yuv *v, vbg_err *err)
{
    if (p->init(SDL_INIT_VIDEO) != 0)
        return vbg_fail(err, VBG_EIO, "preview: %s", p->error());
    p->started = true;
    p->w = v->w;
    p->h = v->h;
    p->window =
        p->create_window(p->title, (int)SDL_WINDOWPOS_UNDEFINED,
                         (int)SDL_WINDOWPOS_UNDEFINED, v->w, v->h, SDL_WINDOW_RESIZABLE);
    if (p->window)
        p->renderer = p->create_renderer(p->window, -1, 0);
    if (p->renderer)
        p->texture = p->create_texture(p->renderer, SDL_PIXELFORMAT_IYUV,
                                       SDL_TEXTUREACCESS_STREAMING, v->w, v->h);
    if (!p->texture)
        return vbg_fail(err, VBG_EIO, "preview: %s", p->error());
    p->set_logical_size(p->renderer, v->w, v->h);
    return VBG_OK;
}

static void close_window(preview *p)
{
    if (p->texture)
        p->destroy_texture(p->texture);
    if (p->renderer)
        p->destroy_renderer(p->renderer);
    if (p->window)
        p->destroy_window(p->window);
    if (p->started)
        p->quit(SDL_INIT_VIDEO);
    p->texture = NULL;
    p->renderer = NULL;
    p->window = NULL;
    p->started = false;
}

/* Keys are remembered; f is the window's own.  False: the window was closed. */
static bool events(preview *p)
{
    SDL_Event e;

    while (p->poll(&e)) {
        if (e.type == SDL_QUIT)
            return false;
        if (e.type != SDL_KEYDOWN || e.key.repeat)
            continue;
        const int key = e.key.keysym.sym;
        if (key == 'f') {
            p->full = !p->full;
            p->set_fullscreen(p->window, p->full ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
        } else if (key > 0 && key < 128 && p->put - p->taken < KEYS) {
            p->keys[p->put % KEYS] = key;
            p->put++;
        }
    }
    return true;
}

static vbg_status preview_write(vbg_sink *s, const vbg_kernels *k, const vbg_out_frame *f,
                                bool *dropped, vbg_err *err)
{
    preview *p = (preview *)s;
    const vbg_yuv *v = &vbg_out_frame_pixels(f)->yuv;
    vbg_status st = VBG_OK;

    (void)k;
    *dropped = false;
    if (!p->started)
        st = open_window(p, v, err);
    if (st == VBG_OK && !events(p))
        st = vbg_fail(err, VBG_EIO, "preview: the window was closed");
    if (st != VBG_OK) {
        close_window(p);
        return st;
    }
    p->update(p->texture, NULL, v->plane[0], (int)v->stride[0], v->plane[1],
              (int)v->stride[1], v->plane[2], (int)v->stride[2]);
    p->clear(p->renderer);
    p->copy(p->renderer, p->texture, NULL, NULL);
    p->present(p->renderer);
    return VBG_OK;
}

static void preview_close(vbg_sink *s)
{
    preview *p = (preview *)s;

    close_window(p); /* the library stays: its threads may still end in it */
    vbg_free_mem(p);
}

/* Without one SDL draws into memory, and nobody sees it.  Who names a driver knows why.
 */
static bool has_display(void)
{
    static const char *const names[] = { "WAYLAND_DISPLAY", "DISPLAY",
                                         "SDL_VIDEODRIVER" };

    for (int i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return true;
    }
    return false;
}

vbg_status vbg_sink_preview(vbg_sink **out, const char *title, vbg_err *err)
{
    static const vbg_sink_class class = { .write = preview_write,
                                          .close = preview_close };
    preview *p = vbg_alloc(sizeof *p);

    *out = NULL;
    if (!p)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    if (!has_display()) {
        vbg_free_mem(p);
        return vbg_fail(err, VBG_EUNSUPPORTED,
                        "a preview needs a display: neither WAYLAND_DISPLAY nor DISPLAY "
                        "is set");
    }
    p->base = (vbg_sink){ .class = &class, .name = "preview" };
    p->title = title;
    p->library = dlopen("libSDL2-2.0.so.0", RTLD_NOW);
    if (!p->library || !bind(p)) {
        vbg_free_mem(p);
        return vbg_fail(err, VBG_EUNSUPPORTED,
                        "a preview needs SDL2: sudo apt install libsdl2-2.0-0");
    }
    *out = &p->base;
    return VBG_OK;
}

int vbg_preview_key(vbg_sink *s)
{
    preview *p = (preview *)s;

    if (p->taken == p->put)
        return 0;
    const int key = p->keys[p->taken % KEYS];
    p->taken++;
    return key;
}

#else

vbg_status vbg_sink_preview(vbg_sink **out, const char *title, vbg_err *err)
{
    (void)title;
    *out = NULL;
    return vbg_fail(err, VBG_EUNSUPPORTED,
                    "this vbg-run was built without SDL2 (libsdl2-dev); pipe it instead: "
                    "--output - | mpv -");
}

int vbg_preview_key(vbg_sink *s)
{
    (void)s;
    return 0;
}

#endif
