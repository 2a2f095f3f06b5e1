/* The viewer page.  One triangle covers the canvas; the fragment shader turns each
 * pixel's ray into longitude and latitude.  LINEAR without mipmaps: the jump of
 * atan at 180 degrees would otherwise show as a seam. */
#define _GNU_SOURCE
#include "tools/room_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/io.h"

static const char head[] =
    "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
    "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
    "<meta name=\"generator\" content=\"vbg " VBG_VERSION "\"><title>";

static const char style[] =
    "</title><style>html,body{margin:0;height:100%;background:#111;overflow:hidden}"
    "canvas{width:100%;height:100%;display:block;cursor:grab;touch-action:none}"
    "#flat{height:100%;overflow-x:auto;overflow-y:hidden;display:none}"
    "#flat img{height:100%}"
    "#t{position:fixed;left:0;bottom:0;margin:12px;color:#fff;"
    "font:15px/1.4 system-ui,sans-serif;text-shadow:0 1px 4px #000;max-width:70%;"
    "pointer-events:none}</style></head><body><canvas id=\"c\"></canvas>"
    "<div id=\"flat\"></div><div id=\"t\"></div><script>\nconst room=";

static const char script[] =
    ";\n"
    "const canvas=document.getElementById('c'),img=new Image();\n"
    "const gl=canvas.getContext('webgl2',{preserveDrawingBuffer:true});\n"
    "document.getElementById('t').textContent=document.title;\n"
    "let yaw=room.yaw,pitch=0,fov=90,program,late=false;\n"
    "function readHash(){const h=new URLSearchParams(location.hash.slice(1));\n"
    " for(const k of ['yaw','pitch','fov']){const v=parseFloat(h.get(k));\n"
    "  if(isFinite(v)){if(k=='yaw')yaw=v;if(k=='pitch')pitch=v;if(k=='fov')fov=v;}}\n"
    " clampView();}\n"
    "function clampView(){fov=Math.min(130,Math.max(20,fov));\n"
    " const up=90-180*room.top,down=90-180*(room.top+room.height);\n"
    " const "
    "half=room.height<1?fov/2*Math.min(1,canvas.height/Math.max(1,canvas.width)):0;\n"
    " pitch=up-half>down+half?Math.min(up-half,Math.max(down+half,pitch)):(up+down)/2;\n"
    " yaw=((yaw+180)%360+360)%360-180;}\n";

static const char drawing[] =
    "const vs=`#version 300 es\nin vec2 p;out vec2 q;void main(){q=p;"
    "gl_Position=vec4(p,0.,1.);}`;\n"
    "const fs=`#version 300 es\nprecision highp float;in vec2 q;out vec4 o;"
    "uniform sampler2D s;uniform vec4 v,t;void main(){"
    "vec3 d=vec3(q.x*v.z,q.y*v.z*v.w,1.);"
    "float c=cos(v.y),n=sin(v.y);d=vec3(d.x,d.y*c+d.z*n,d.z*c-d.y*n);"
    "float lon=atan(d.x,d.z)+v.x,lat=atan(d.y,length(d.xz));"
    "float u=(fract(lon/6.28318530718+.5-t.z))/t.w;"
    "o=u>1.?vec4(.07,.07,.07,1.):"
    "texture(s,vec2(u,(.5-lat/3.14159265359-t.x)/t.y));}`;\n"
    "function shader(type,text){const s=gl.createShader(type);gl.shaderSource(s,text);\n"
    " gl.compileShader(s);gl.attachShader(program,s);}\n"
    "function setUp(){program=gl.createProgram();shader(gl.VERTEX_SHADER,vs);\n"
    " shader(gl.FRAGMENT_SHADER,fs);gl.linkProgram(program);gl.useProgram(program);\n"
    " gl.bindBuffer(gl.ARRAY_BUFFER,gl.createBuffer());\n"
    " gl.bufferData(gl.ARRAY_BUFFER,new "
    "Float32Array([-1,-1,3,-1,-1,3]),gl.STATIC_DRAW);\n"
    " const p=gl.getAttribLocation(program,'p');gl.enableVertexAttribArray(p);\n"
    " gl.vertexAttribPointer(p,2,gl.FLOAT,false,0,0);\n"
    " gl.bindTexture(gl.TEXTURE_2D,gl.createTexture());\n"
    " gl.texImage2D(gl.TEXTURE_2D,0,gl.RGB,gl.RGB,gl.UNSIGNED_BYTE,img);\n"
    " for(const [k,x] of "
    "[[gl.TEXTURE_MIN_FILTER,gl.LINEAR],[gl.TEXTURE_MAG_FILTER,gl.LINEAR],\n"
    "  [gl.TEXTURE_WRAP_S,gl.REPEAT],[gl.TEXTURE_WRAP_T,gl.CLAMP_TO_EDGE]])\n"
    "  gl.texParameteri(gl.TEXTURE_2D,k,x);}\n"
    "function draw(){late=false;const r=devicePixelRatio||1;\n"
    " const w=Math.round(innerWidth*r),h=Math.round(innerHeight*r);\n"
    " if(canvas.width!=w||canvas.height!=h){canvas.width=w;canvas.height=h;}\n"
    " clampView();gl.viewport(0,0,w,h);const d=Math.PI/180;\n"
    " gl.uniform4f(gl.getUniformLocation(program,'v'),yaw*d,pitch*d,Math.tan(fov*d/2),h/"
    "w);\n"
    " gl.uniform4f(gl.getUniformLocation(program,'t'),room.top,room.height,room.left,"
    "room.width);\n"
    " gl.drawArrays(gl.TRIANGLES,0,3);\n"
    " if(!document.title.endsWith(' - ready'))document.title+=' - ready';}\n"
    "function later(){if(!late){late=true;requestAnimationFrame(draw);}}\n"
    "function turn(dx,dy){yaw-=dx*fov/innerWidth;pitch+=dy*fov/innerWidth;later();}\n"
    "function flat(){canvas.style.display='none';const "
    "f=document.getElementById('flat');\n"
    " f.style.display='block';img.alt=document.title;f.appendChild(img);\n"
    " document.title+=' - ready';}\n"
    "img.onload=()=>{if(!gl||gl.getParameter(gl.MAX_TEXTURE_SIZE)<img.width){flat();"
    "return;}\n"
    " setUp();readHash();draw();};\n"
    "canvas.addEventListener('webglcontextlost',e=>e.preventDefault());\n"
    "canvas.addEventListener('webglcontextrestored',()=>{setUp();draw();});\n"
    "let last=null;const pts=new Map();\n"
    "canvas.onpointerdown=e=>{canvas.setPointerCapture(e.pointerId);\n"
    " pts.set(e.pointerId,e);last=null;};\n"
    "canvas.onpointerup=canvas.onpointercancel=e=>{pts.delete(e.pointerId);last=null;};\n"
    "canvas.onpointermove=e=>{const p=pts.get(e.pointerId);if(!p)return;\n"
    " if(pts.size==1)turn(e.clientX-p.clientX,e.clientY-p.clientY);\n"
    " pts.set(e.pointerId,e);if(pts.size==2){const [a,b]=[...pts.values()];\n"
    "  const n=Math.hypot(a.clientX-b.clientX,a.clientY-b.clientY);\n"
    "  if(last){fov*=last/n;later();}last=n;}};\n"
    "canvas.onwheel=e=>{fov*=Math.exp(e.deltaY/1000);later();e.preventDefault();};\n"
    "onkeydown=e=>{const s=fov/20,k={ArrowLeft:[-s,0],ArrowRight:[s,0],ArrowUp:[0,s],\n"
    " ArrowDown:[0,-s]}[e.key];if(k){yaw+=k[0];pitch+=k[1];later();}\n"
    " if(e.key=='+'||e.key=='-'){fov*=e.key=='+'?.9:1.1;later();}};\n"
    "onresize=later;onhashchange=()=>{readHash();later();};\n"
    "img.src='data:image/jpeg;base64,";

static const char tail[] = "';\n</script></body></html>\n";

typedef struct text {
    char *data;
    size_t used, cap;
} text;

static bool put(text *t, const char *s, size_t n)
{
    VBG_CHECK(t->used + n <= t->cap, "room page buffer");
    memcpy(t->data + t->used, s, n);
    t->used += n;
    return true;
}

static void put_escaped(text *t, const char *s)
{
    for (; *s; s++) {
        const char *e = *s == '&'   ? "&amp;"
                        : *s == '<' ? "&lt;"
                        : *s == '>' ? "&gt;"
                        : *s == '"' ? "&quot;"
                                    : NULL;
        if (e)
            put(t, e, strlen(e));
        else
            put(t, s, 1);
    }
}

static void put_base64(text *t, const uint8_t *p, size_t n)
{
    static const char digit[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3) {
        unsigned b1 = i + 1 < n ? p[i + 1] : 0, b2 = i + 2 < n ? p[i + 2] : 0;
        unsigned v = (unsigned)p[i] << 16 | b1 << 8 | b2;
        char out[4] = { digit[v >> 18], digit[v >> 12 & 63],
                        i + 1 < n ? digit[v >> 6 & 63] : '=',
                        i + 2 < n ? digit[v & 63] : '=' };
        put(t, out, 4);
    }
}

vbg_status vbg_room_page_write(const char *path, const vbg_room_page *page, vbg_err *err)
{
    char numbers[200];
    const char *title = page->title && *page->title ? page->title : "a room";
    int n = snprintf(
        numbers, sizeof numbers, "{yaw:%.3f,top:%.6f,height:%.6f,left:%.6f,width:%.6f}",
        page->start_yaw_deg, page->top, page->height, page->left, page->width);
    text t = { .cap = sizeof head + sizeof style + sizeof script + sizeof drawing +
                      sizeof tail + sizeof numbers + 6 * strlen(title) +
                      page->jpeg_bytes / 3 * 4 + 8 };

    t.data = malloc(t.cap);
    if (!t.data)
        return vbg_fail(err, VBG_ENOMEM, "%s: not enough memory for the page", path);
    put(&t, head, sizeof head - 1);
    put_escaped(&t, title);
    put(&t, style, sizeof style - 1);
    put(&t, numbers, (size_t)n);
    put(&t, script, sizeof script - 1);
    put(&t, drawing, sizeof drawing - 1);
    put_base64(&t, page->jpeg, page->jpeg_bytes);
    put(&t, tail, sizeof tail - 1);
    vbg_file *f = NULL;
    vbg_status st = vbg_file_create(&f, path, err);
    if (st == VBG_OK)
        st = vbg_file_write(f, t.data, t.used, err);
    if (st == VBG_OK)
        st = vbg_file_commit(f, err);
    else
        vbg_file_abort(f);
    free(t.data);
    return st;
}
