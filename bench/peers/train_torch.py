#!/usr/bin/env python3
"""The steps of `vbg-bench train` in PyTorch: bf16 autocast or f32, channels last, AdamW.

    apt-get install python3-torch
    python3 bench/peers/train_torch.py [--threads 2] [--steps 5] [NAME...] > torch.txt
    vbg-bench train --peer-file torch.txt

Prints "NAME milliseconds TYPE" per case: the median step after one to warm up, of the
faster type.  --share 8: an eighth of the batch, times 8, for machines where a whole step
does not end.  Networks as in bench/train_nets.c, written as plain modules; nothing of vbg
needs this file."""
import argparse
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


def conv(c, oc, k=3, stride=1):
    return nn.Conv2d(c, oc, k, stride, k // 2)


class GroupNorm(nn.GroupNorm):
    """Autocast on CPUs leaves its weights f32, which the kernel refuses beside bf16."""

    def forward(self, x):
        w, b = self.weight.to(x.dtype), self.bias.to(x.dtype)
        return F.group_norm(x, self.num_groups, w, b, self.eps)


class LayerNorm(nn.LayerNorm):
    def forward(self, x):
        w, b = self.weight.to(x.dtype), self.bias.to(x.dtype)
        return F.layer_norm(x, self.normalized_shape, w, b, self.eps)


class Resnet(nn.Module):
    def __init__(self, c, oc, groups, temb=0):
        super().__init__()
        self.norm1, self.conv1 = GroupNorm(groups, c), conv(c, oc)
        self.norm2, self.conv2 = GroupNorm(groups, oc), conv(oc, oc)
        self.skip = conv(c, oc, 1) if c != oc else nn.Identity()
        self.temb = nn.Linear(temb, oc) if temb else None

    def forward(self, x, t=None):
        h = self.conv1(F.silu(self.norm1(x)))
        if self.temb is not None:
            h = h + self.temb(F.silu(t))[:, :, None, None]
        return self.skip(x) + self.conv2(F.silu(self.norm2(h)))


# ---- the autoencoder ----

class Vae(nn.Module):
    def __init__(self, widths=(32, 64, 96, 128, 128), latent=8, groups=8):
        super().__init__()
        last = widths[-1]
        enc, c = [conv(3, widths[0])], widths[0]
        for i, w in enumerate(widths):
            enc.append(Resnet(c, w, groups))
            if i + 1 < len(widths):
                enc.append(conv(w, w, 3, 2))
            c = w
        enc += [Resnet(last, last, groups), Resnet(last, last, groups),
                GroupNorm(groups, last), nn.SiLU(), conv(last, 2 * latent),
                conv(2 * latent, 2 * latent, 1)]
        dec = [conv(latent, latent, 1), conv(latent, last), Resnet(last, last, groups),
               Resnet(last, last, groups)]
        c = last
        for i, w in enumerate(reversed(widths)):
            dec += [Resnet(c, w, groups), Resnet(w, w, groups)]
            if i + 1 < len(widths):
                dec += [nn.Upsample(scale_factor=2), conv(w, w)]
            c = w
        dec += [GroupNorm(groups, c), nn.SiLU(), conv(c, 3)]
        self.encoder, self.decoder = nn.Sequential(*enc), nn.Sequential(*dec)
        self.latent = latent

    def loss(self, x):
        mean = self.encoder(x)[:, :self.latent]
        return F.l1_loss(self.decoder(mean).float(), x)


# ---- the UNet ----

class Attention(nn.Module):
    def __init__(self, c, context, heads):
        super().__init__()
        self.q = nn.Linear(c, c, bias=False)
        self.k = nn.Linear(context, c, bias=False)
        self.v = nn.Linear(context, c, bias=False)
        self.out, self.heads = nn.Linear(c, c), heads

    def split(self, x):
        n, t, c = x.shape
        return x.view(n, t, self.heads, c // self.heads).transpose(1, 2)

    def forward(self, x, state):
        q, k, v = self.split(self.q(x)), self.split(self.k(state)), self.split(self.v(state))
        a = torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5, dim=-1)
        return self.out((a @ v).transpose(1, 2).reshape(x.shape))


class Transformer(nn.Module):
    def __init__(self, c, context, heads, groups):
        super().__init__()
        self.norm = GroupNorm(groups, c)
        self.proj_in, self.proj_out = nn.Linear(c, c), nn.Linear(c, c)
        self.norm1, self.norm2, self.norm3 = (LayerNorm(c) for _ in range(3))
        self.self_attn = Attention(c, c, heads)
        self.cross = Attention(c, context, heads)
        self.ff1, self.ff2 = nn.Linear(c, 8 * c), nn.Linear(4 * c, c)

    def forward(self, x, state):
        n, c, h, w = x.shape
        y = self.proj_in(self.norm(x).permute(0, 2, 3, 1).reshape(n, h * w, c))
        z = self.norm1(y)
        y = y + self.self_attn(z, z)
        y = y + self.cross(self.norm2(y), state)
        a, gate = self.ff1(self.norm3(y)).chunk(2, dim=-1)
        y = y + self.ff2(a * F.gelu(gate))
        return x + self.proj_out(y).reshape(n, h, w, c).permute(0, 3, 1, 2)


class Unet(nn.Module):
    def __init__(self, widths, context, groups=16, channels=8):
        super().__init__()
        temb, top = 4 * widths[0], len(widths) - 1
        self.width = widths[0]
        self.time = nn.Sequential(nn.Linear(widths[0], temb), nn.SiLU(),
                                  nn.Linear(temb, temb))
        self.conv_in, c, skips = conv(channels, widths[0]), widths[0], [widths[0]]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()

        def attention(i):
            return Transformer(widths[i], context, i + 1, groups) if i else nn.Identity()

        for i, w in enumerate(widths):
            stage = nn.ModuleList([Resnet(c, w, groups, temb), attention(i)])
            skips.append(w)
            if i < top:
                stage.append(conv(w, w, 3, 2))
                skips.append(w)
            self.down.append(stage)
            c = w
        self.mid = nn.ModuleList([Resnet(c, c, groups, temb), attention(top),
                                  Resnet(c, c, groups, temb)])
        for i in range(top, -1, -1):
            stage = nn.ModuleList()
            for _ in range(2):
                stage += [Resnet(c + skips.pop(), widths[i], groups, temb), attention(i)]
                c = widths[i]
            if i:
                stage += [nn.Upsample(scale_factor=2), conv(c, c)]
            self.up.append(stage)
        self.norm_out, self.conv_out = GroupNorm(groups, c), conv(c, channels)

    @staticmethod
    def attend(layer, x, state):
        return layer(x, state) if isinstance(layer, Transformer) else x

    def forward(self, x, time_, state):
        half = self.width // 2
        f = torch.exp(-torch.arange(half) * (9.210340372 / half))
        a = time_[:, None] * f[None]
        t = self.time(torch.cat([a.cos(), a.sin()], 1))
        x = self.conv_in(x)
        kept = [x]
        for resnet, attention, *down in self.down:
            x = self.attend(attention, resnet(x, t), state)
            kept.append(x)
            for layer in down:
                x = layer(x)
                kept.append(x)
        x = self.mid[2](self.attend(self.mid[1], self.mid[0](x, t), state), t)
        for stage in self.up:
            for k in range(2):
                x = stage[2 * k](torch.cat([x, kept.pop()], 1), t)
                x = self.attend(stage[2 * k + 1], x, state)
            for layer in stage[4:]:
                x = layer(x)
        return self.conv_out(F.silu(self.norm_out(x)))


# ---- the segmenter ----

def cbr(c, oc, k=3, stride=1, groups=1, relu=True):
    layers = [nn.Conv2d(c, oc, k, stride, k // 2, groups=groups, bias=False),
              nn.BatchNorm2d(oc)]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class Gather(nn.Module):
    """Gather and expansion; stride 2 has a shortcut of its own."""

    def __init__(self, c, oc, stride=1, times=6):
        super().__init__()
        mid = c * times
        deep = [cbr(c, mid, 3, 2, c, False), cbr(mid, mid, 3, 1, mid)] if stride == 2 else \
            [cbr(c, mid, 3, 1, c)]
        self.main = nn.Sequential(cbr(c, c), *deep, cbr(mid, oc, 1, relu=False))
        self.short = nn.Sequential(cbr(c, c, 3, 2, c, False), cbr(c, oc, 1, relu=False)) \
            if stride == 2 else nn.Identity()

    def forward(self, x):
        return F.relu(self.main(x) + self.short(x))


class BiSeNetV2(nn.Module):
    def __init__(self, head=1024):
        super().__init__()
        self.detail = nn.Sequential(
            cbr(3, 64, 3, 2), cbr(64, 64), cbr(64, 64, 3, 2), cbr(64, 64), cbr(64, 64),
            cbr(64, 128, 3, 2), cbr(128, 128), cbr(128, 128))
        self.stem, self.fuse = cbr(3, 16, 3, 2), cbr(32, 16)
        self.left = nn.Sequential(cbr(16, 8, 1), cbr(8, 16, 3, 2))
        self.deep = nn.Sequential(
            Gather(16, 32, 2), Gather(32, 32), Gather(32, 64, 2), Gather(64, 64),
            Gather(64, 128, 2), Gather(128, 128), Gather(128, 128), Gather(128, 128))
        self.mean_norm, self.mean = nn.BatchNorm2d(128), cbr(128, 128, 1)
        self.context = cbr(128, 128)
        self.left1 = nn.Sequential(cbr(128, 128, 3, 1, 128, False), conv(128, 128, 1))
        self.left2 = nn.Sequential(cbr(128, 128, 3, 2, 1, False), nn.AvgPool2d(3, 2, 1))
        self.right1 = cbr(128, 128, relu=False)
        self.right2 = nn.Sequential(cbr(128, 128, 3, 1, 128, False), conv(128, 128, 1))
        self.merge = cbr(128, 128)
        self.head = nn.Sequential(cbr(128, head), conv(head, 1, 1))

    def forward(self, x):
        d, s = self.detail(x), self.stem(x)
        s = self.deep(self.fuse(torch.cat([self.left(s), F.max_pool2d(s, 3, 2, 1)], 1)))
        s = self.context(s + self.mean(self.mean_norm(s.mean((2, 3), keepdim=True))))
        right = torch.sigmoid(F.interpolate(self.right1(s), scale_factor=4))
        low = self.left2(d) * torch.sigmoid(self.right2(s))
        y = self.merge(self.left1(d) * right + F.interpolate(low, scale_factor=4))
        return F.interpolate(self.head(y), scale_factor=8, mode="bilinear")


# ---- timing ----

def channels_last(*shape):
    return torch.randn(*shape).to(memory_format=torch.channels_last)


def vae(n):
    net, x = Vae(), channels_last(n, 3, 128, 128)
    return net, lambda: net.loss(x)


def unet(widths, context, n):
    net = Unet(widths, context)
    x, want = channels_last(n, 8, 32, 32), channels_last(n, 8, 32, 32)
    times, state = torch.rand(n) * 1000, torch.randn(n, 77, context)
    return net, lambda: F.mse_loss(net(x, times, state).float(), want)


def segmenter(n):
    net, x = BiSeNetV2(), channels_last(n, 3, 256, 256)
    want = (torch.randn(n, 1, 256, 256) > 0).float()
    return net, lambda: F.binary_cross_entropy_with_logits(net(x).float(), want)


CASES = {  # with the images of a step
    "vae": (vae, 16),
    "unet64": (lambda n: unet((64, 128, 192, 256), 256, n), 32),
    "unet128": (lambda n: unet((128, 256, 384, 512), 512, n), 16),
    "bisenetv2": (segmenter, 16),
}


def measure(make, images, steps, bf16):
    net, loss = make(images)
    net = net.to(memory_format=torch.channels_last)
    adam = torch.optim.AdamW(net.parameters(), lr=1e-5)
    took = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        adam.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            value = loss()
        value.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        adam.step()
        took.append(1e3 * (time.perf_counter() - start))
    return statistics.median(took[1:])


def report(name, o):
    make, images = CASES[name]
    share = min(o.share, images)
    took = {t: share * measure(make, images // share, o.steps, t == "bf16") for t in o.types}
    best = min(took, key=took.get)
    others = " ".join("(%s %.1f)" % (t, ms) for t, ms in took.items() if t != best)
    print(name, "%.1f" % took[best], best, others, flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--threads", type=int, default=torch.get_num_threads())
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--share", type=int, default=1)
    p.add_argument("--types", nargs="+", choices=["f32", "bf16"], default=["f32", "bf16"])
    p.add_argument("name", nargs="*", choices=[[], *CASES], default=[])
    o = p.parse_args()
    torch.set_num_threads(o.threads)
    for name in o.name or CASES:
        report(name, o)


if __name__ == "__main__":
    main()
