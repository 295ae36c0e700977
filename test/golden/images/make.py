"""Images of all kinds, and their pixels as transformers and timm prepare them: writes *.jpg, *.png, *.webp,
labels.csv, expected.safetensors and pillow.json beside this file.

Run it as `python make.py`; it needs torch, torchvision, transformers, timm, pillow and safetensors. An image is turned
as its EXIF says and made RGB before a model's own transform sees it, as transformers' load_image does. A 16-bit image of
greys keeps its upper bytes, as Pillow does for colours; Pillow itself clips such greys.
"""
import base64
import json
import os
import struct
import zlib

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from safetensors.numpy import save_file

# torchvision's wheel beside a CPU build of torch lacks its own operators, which nothing here needs
operators = torch.library.Library('torchvision', 'FRAGMENT')
for operator in ('nms', 'qnms'):
    try:
        operators.define(f'{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
    except RuntimeError:
        pass

from timm.data import create_transform, resolve_data_config  # noqa: E402
from transformers import ViTImageProcessor  # noqa: E402

folder = os.path.dirname(os.path.abspath(__file__))


def at(name):
    return os.path.join(folder, name)


def scene(width, height, seed):
    """Gradients, disks and a little noise: smooth parts, edges and texture, as photographs have."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    parts = [np.sin(x / (5 + 3 * c) + seed) + np.cos(y / (7 + 2 * c) - c) for c in range(3)]
    pixels = np.stack([127 + 50 * part for part in parts], -1) + random.normal(0, 4, (height, width, 3))
    image = Image.fromarray(pixels.clip(0, 255).astype('uint8'))
    draw = ImageDraw.Draw(image)
    for _ in range(4):
        cx, cy, r = random.integers(0, width), random.integers(0, height), random.integers(2, 3 + min(width, height) // 3)
        draw.ellipse([int(cx - r), int(cy - r), int(cx + r), int(cy + r)], fill=tuple(int(v) for v in random.integers(0, 256, 3)))
    return image


def with_alpha(image):
    width, height = image.size
    alpha = (np.mgrid[0:height, 0:width][1] * 255 // max(1, width - 1)).astype('uint8')
    return Image.merge(image.mode[0] == 'L' and 'LA' or 'RGBA', (*image.split(), Image.fromarray(alpha)))


def orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def png16(name, array):
    """A PNG of 16 bits a channel, which Pillow does not write for colours."""
    height, width, channels = array.shape
    rows = b''.join(b'\0' + row.astype('>u2').tobytes() for row in array)

    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    colour = {1: 0, 3: 2, 4: 6}[channels]
    with open(at(name), 'wb') as file:
        file.write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 16, colour, 0, 0, 0))
                   + chunk(b'IDAT', zlib.compress(rows, 9)) + chunk(b'IEND', b''))


def deep(image, seed):
    """16-bit values whose upper bytes are those of the image."""
    eight = np.asarray(image)
    eight = eight.reshape(*eight.shape[:2], -1).astype('uint16')
    return eight * 256 + np.random.default_rng(seed).integers(0, 256, eight.shape).astype('uint16')


def make():
    scene(160, 120, 1).save(at('jpeg.jpg'), quality=90)
    scene(121, 83, 2).save(at('jpeg-odd-size.jpg'), quality=75)
    scene(90, 110, 3).save(at('jpeg-444.jpg'), quality=85, subsampling=0)
    scene(90, 60, 4).save(at('jpeg-progressive.jpg'), quality=80, progressive=True)
    scene(300, 200, 5).save(at('jpeg-large.jpg'), quality=70)
    scene(9, 7, 6).save(at('jpeg-small.jpg'), quality=90)
    scene(80, 60, 7).convert('L').save(at('jpeg-grey.jpg'), quality=85)
    scene(80, 60, 8).convert('CMYK').save(at('jpeg-cmyk.jpg'), quality=90)
    for value in range(2, 9):
        scene(48, 32, 10 + value).save(at(f'jpeg-exif-{value}.jpg'), quality=85, exif=orientation(value))
    scene(64, 50, 21).save(at('png.png'))
    scene(40, 64, 22).convert('L').save(at('png-grey.png'))
    with_alpha(scene(50, 40, 23)).save(at('png-alpha.png'))
    with_alpha(scene(50, 40, 24).convert('L')).save(at('png-grey-alpha.png'))
    scene(60, 40, 25).quantize(32).save(at('png-palette.png'))
    scene(60, 40, 26).quantize(16).save(at('png-palette-alpha.png'), transparency=3)
    scene(60, 40, 27).convert('1').save(at('png-1-bit.png'))
    png16('png-16-bit.png', deep(scene(40, 30, 28), 28))
    png16('png-16-bit-grey.png', deep(scene(40, 30, 29).convert('L'), 29))
    scene(40, 30, 30).save(at('png-exif-6.png'), exif=orientation(6))
    scene(1, 1, 31).save(at('png-pixel.png'))
    scene(120, 90, 32).save(at('webp.webp'), quality=80)
    scene(50, 60, 33).save(at('webp-lossless.webp'), lossless=True)
    with_alpha(scene(60, 45, 34)).save(at('webp-alpha.webp'), quality=80)
    scene(48, 36, 35).save(at('webp-exif-8.webp'), quality=85, exif=orientation(8))
    scene(20, 16, 36).save(at('webp-frames.webp'), lossless=True, save_all=True, append_images=[scene(20, 16, 37)])


def opened(name):
    image = Image.open(at(name))
    if image.mode.startswith('I'):
        return Image.fromarray((np.asarray(image) >> 8).astype('uint8')).convert('RGB')
    return ImageOps.exif_transpose(image).convert('RGB')


vit = ViTImageProcessor(size={'height': 20, 'width': 24}, resample=2)
timm_config = {'input_size': [3, 24, 24], 'crop_pct': 0.875, 'interpolation': 'bicubic'}
wide_config = {'input_size': [3, 20, 29], 'crop_pct': 0.8, 'interpolation': 'bilinear', 'mean': [0.5, 0.4, 0.3]}
squash_config = {'input_size': [3, 19, 24], 'crop_pct': 0.9, 'crop_mode': 'squash', 'interpolation': 'lanczos'}


def transform(config):
    return create_transform(**resolve_data_config(pretrained_cfg=config))


evaluation = transform(timm_config)
# other forms of the input, for a few of the images
others = {'wide': transform(wide_config), 'squash': transform(squash_config)}
few = ('jpeg-odd-size.jpg', 'jpeg-small.jpg', 'png-grey.png')


def hwc(tensor):
    return np.ascontiguousarray(np.asarray(tensor, dtype='float32').transpose(1, 2, 0))


make()
names = sorted(name for name in os.listdir(folder) if name.endswith(('.jpg', '.png', '.webp')))
expected = {}
for name in names:
    image = opened(name)
    expected[f'{name}.vit'] = hwc(vit(image, return_tensors='np')['pixel_values'][0])
    expected[f'{name}.timm'] = hwc(evaluation(image))
    for other in others if name in few else ():
        expected[f'{name}.{other}'] = hwc(others[other](image))
with open(at('labels.csv'), 'w') as file:
    file.write('image,label\n' + ''.join(f"{name},{name.split('.')[-1].replace('jpg', 'jpeg')}\n" for name in names))
save_file(expected, at('expected.safetensors'), {
    'vit': json.dumps({'size': {'height': 20, 'width': 24}, 'resample': 2}),
    'timm': json.dumps(timm_config), 'wide': json.dumps(wide_config), 'squash': json.dumps(squash_config)})

# Pillow's own filters, on eight bits: up, down, one axis each way, and to a single pixel
filters = {'nearest': 0, 'lanczos': 1, 'bilinear': 2, 'bicubic': 3, 'box': 4, 'hamming': 5}
source = scene(37, 29, 40)
resized = {'source': np.asarray(source)}
for filter_name, value in filters.items():
    for width, height in ((61, 50), (10, 9), (50, 8), (33, 22), (33, 20), (37, 15), (1, 1)):
        resized[f'{filter_name}.{width}x{height}'] = np.asarray(source.resize((width, height), value))

# the operations on colours: names, strengths and signs
operations = {
    'brightness': lambda image, s, sign: ImageEnhance.Brightness(image).enhance(1 + sign * 0.9 * s),
    'contrast': lambda image, s, sign: ImageEnhance.Contrast(image).enhance(1 + sign * 0.9 * s),
    'colour': lambda image, s, sign: ImageEnhance.Color(image).enhance(1 + sign * 0.9 * s),
    'posterize': lambda image, s, sign: ImageOps.posterize(image, 8 - round(4 * s)),
    'solarize': lambda image, s, sign: ImageOps.solarize(image, 255 * (1 - s)),
    'autoContrast': lambda image, s, sign: ImageOps.autocontrast(image),
    'equalize': lambda image, s, sign: ImageOps.equalize(image),
}
for operation, change in operations.items():
    for s, sign in ((0.3, -1), (0.3, 1), (0.9, -1), (0.9, 1)):
        resized[f'{operation}.{s}.{sign}'] = np.asarray(change(source, s, sign))
dull = Image.fromarray((np.asarray(source) // 4 + 60).astype('uint8'))
resized['dull'] = np.asarray(dull)
for operation in ('autoContrast', 'equalize'):
    resized[f'dull.{operation}'] = np.asarray(operations[operation](dull, 0, 1))
text = {name: base64.b64encode(np.asarray(array).tobytes()).decode() for name, array in resized.items()}
with open(at('pillow.json'), 'w') as file:
    json.dump(text, file, indent=0)
    file.write('\n')
print(len(names), 'images,', sum(os.path.getsize(at(f)) for f in os.listdir(folder)), 'bytes')
