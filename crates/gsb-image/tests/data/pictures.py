"""Pictures of every kind, with the pixels that Pillow (libjpeg-turbo, libwebp, libtiff) makes of them.

    python3 pictures.py                 writes pictures.safetensors beside this file
    python3 pictures.py sweep FOLDER    writes 23,341 JPEG files of all samplings, sizes of 1 to 40 and
                                        kinds, and beside each what djpeg makes of it; the test
                                        `a_folder_of_jpegs_equals_djpeg` reads them: GSB_JPEGS=FOLDER

Needs Pillow, numpy, safetensors, and cjpeg and djpeg of libjpeg-turbo.
"""

import io
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image, ImageOps

SAMPLINGS = {"444": "1x1", "422": "2x1", "420": "2x2", "411": "4x1", "440": "1x2", "410": "4x2", "441": "1x4"}
# Rare ones: factors of three, luma coarser than chroma, chroma between luma and the other chroma.
RARE = {"31": "3x1", "32": "3x2", "13": "1x3", "24": "2x4", "fine": "1x1,2x2,2x2", "between": "4x1,2x1,2x1",
        "mixed": "2x1,1x1,2x1", "221": "2x2,2x1,2x1", "212": "2x2,1x2,1x2", "331": "3x2,3x1,1x1"}
KINDS = {"plain": [], "progressive": ["-progressive"], "optimized": ["-optimize"], "restarts": ["-restart", "1"],
         "restart_blocks": ["-restart", "3B"], "progressive_restarts": ["-progressive", "-restart", "2B"]}
SCANS = "0;\n1;\n2;\n"


def photograph(width, height, kind="smooth", seed=7):
    y, x = np.mgrid[0:height, 0:width]
    if kind == "smooth":
        planes = [128 + 100 * np.sin(x / 7 + c) + 27 * np.cos(y / 5 - c * x / 50) for c in range(3)]
        image = np.stack(planes, -1)
    elif kind == "edges":
        image = np.stack([((x // 3 + y // (2 + c)) % 2) * 255 for c in range(3)], -1)
    else:
        image = np.random.default_rng(seed).integers(0, 256, (height, width, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


def cjpeg(pixels, *options):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PPM")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as script:
        script.write(SCANS)
        script.flush()
        options = [script.name if option is SCANS else option for option in options]
        return subprocess.run(["cjpeg", *options], input=stream.getvalue(), capture_output=True, check=True).stdout


def saved(pixels, format, **options):
    stream = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(stream, format, **options)
    return stream.getvalue()


def segment(marker, data):
    return bytes([0xFF, marker]) + (len(data) + 2).to_bytes(2, "big") + data


def with_adobe(file, transform):
    return file[:2] + segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform])) + file[2:]


def without(file, marker):
    place = file.index(bytes([0xFF, marker]))
    return file[:place] + file[place + 2 + int.from_bytes(file[place + 2 : place + 4], "big") :]


def with_ids(file, ids):
    file = bytearray(file)
    for marker, start, step in ((0xC0, 10, 3), (0xDA, 5, 2)):
        place = file.index(bytes([0xFF, marker]))
        for component, id in enumerate(ids):
            file[place + start + component * step] = id
    return bytes(file)


def with_transform(file, transform):
    file = bytearray(file)
    file[file.index(b"Adobe") + 11] = transform
    return bytes(file)


def pixels_of(image):
    if image.mode.startswith("I;16"):
        # Pillow's conversion saturates; what is documented is the upper byte.
        return (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)[..., None]
    if image.mode in ("1", "L", "LA"):
        return np.asarray(image.convert("L"))[..., None]
    return np.asarray(image.convert("RGB"))


def cases():
    photo = photograph(19, 17)
    noise = photograph(19, 17, "noise")
    for name, factors in {**SAMPLINGS, **RARE}.items():
        wide, high = factors.startswith(("4", "3")), factors.endswith(("4", "3"))
        pixels = photograph(37 if wide else 19, 35 if high else 17)
        if name in SAMPLINGS:
            for kind in ("plain", "progressive", "restarts"):
                yield f"jpeg_{name}_{kind}", cjpeg(pixels, "-sample", factors, *KINDS[kind])
        yield f"jpeg_{name}_scans", cjpeg(pixels, "-sample", factors, "-scans", SCANS)
    for width, height in ((1, 1), (2, 3), (3, 2), (4, 5), (5, 4), (1, 33), (33, 1)):
        for name in ("420", "422", "440", "410"):
            file = cjpeg(photograph(width, height, "noise"), "-quality", "60", "-optimize", "-sample", SAMPLINGS[name])
            yield f"jpeg_{name}_{width}x{height}", file
    yield "jpeg_optimized", cjpeg(noise, "-optimize")
    yield "jpeg_gray", cjpeg(photo, "-grayscale")
    yield "jpeg_gray_progressive", cjpeg(photo, "-grayscale", "-progressive")
    yield "jpeg_rgb", cjpeg(photo, "-rgb")
    # The colours of JPEG: by JFIF, by Adobe, by the names of the components.
    base = saved(photo, "JPEG", quality=80, subsampling="4:2:0", optimize=True)
    for transform in (0, 1, 2):
        yield f"jpeg_jfif_adobe{transform}", with_adobe(base, transform)
        yield f"jpeg_adobe{transform}", with_adobe(without(base, 0xE0), transform)
    for ids in ((1, 2, 3), (82, 71, 66), (1, 34, 35), (0, 1, 2)):
        name = "_".join(map(str, ids))
        yield f"jpeg_ids_{name}", with_ids(without(base, 0xE0), ids)
        yield f"jpeg_jfif_ids_{name}", with_ids(base, ids)
    inks = Image.fromarray(np.concatenate([photo, noise[..., :1]], -1), "CMYK")
    for name in ("4:4:4", "4:2:2", "4:2:0", "4:1:1"):
        # All inks but the first have fewer samples, as ImageMagick writes CMYK.
        file = saved(inks, "JPEG", quality=80, subsampling=name, optimize=True)
        name = name.replace(":", "")
        yield f"jpeg_cmyk_{name}", file
        yield f"jpeg_ycck_{name}", with_transform(file, 2)
    yield "jpeg_cmyk_without_adobe", without(file, 0xEE)
    yield "jpeg_ycck_progressive", with_transform(saved(inks, "JPEG", progressive=True), 2)
    # What libjpeg warns of and decodes: bytes before a marker, data that end early.
    yield "jpeg_extra_bytes", base[:-2] + b"\0\1\2" + base[-2:]
    yield "jpeg_ends_early", base[:-5] + base[-2:]
    yield "jpeg_trailing", base + b"\0\0\xFF\xD8more"
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x112] = orientation
        yield f"upright_{orientation}_jpeg", saved(photo, "JPEG", quality=50, optimize=True, exif=exif)
        yield f"upright_{orientation}_png", saved(photo[:5, :3], "PNG", exif=exif)
    yield "upright_6_webp", saved(photo, "WEBP", exif=with_orientation(6))
    yield "upright_6_tiff", saved(photo[:5, :3], "TIFF", tiffinfo={0x112: 6})

    gray = Image.fromarray(noise[..., 0])
    rgb = Image.fromarray(noise)
    alpha = Image.fromarray(noise[::-1, :, 1].copy())
    rgba = Image.merge("RGBA", (*rgb.split(), alpha))
    palette = Image.fromarray(photo).quantize(50)
    bits = gray.convert("1")
    deep = Image.fromarray(noise[..., 0].astype(np.uint16) << 8 | noise[..., 1])
    inks = Image.merge("CMYK", (*rgb.split(), alpha))
    modes = {"rgb": rgb, "gray": gray, "rgba": rgba, "palette": palette, "bits": bits}
    for name, image in modes.items():
        yield f"png_{name}", saved(image, "PNG")
        yield f"bmp_{name}", saved(image, "BMP")
        yield f"gif_{name}", saved(image, "GIF")
    yield "png_gray16", saved(deep, "PNG")
    yield "png_transparent", saved(palette, "PNG", transparency=3)
    yield "png_animated", saved(rgb, "PNG", save_all=True, append_images=[rgb.rotate(90)])
    yield "dib_rgb", saved(rgb, "DIB")
    yield "gif_interlaced", saved(palette, "GIF", interlace=1)
    yield "gif_animated", saved(palette, "GIF", save_all=True, append_images=[palette.rotate(90)])
    screen = bytearray(saved(palette, "GIF"))
    screen[6:10] = (25).to_bytes(2, "little") + (20).to_bytes(2, "little")
    yield "gif_larger_screen", bytes(screen)
    screen[6:10] = (9).to_bytes(2, "little") + (8).to_bytes(2, "little")
    yield "gif_smaller_screen", bytes(screen)
    for name in ("rgb", "gray", "bits"):
        yield f"pnm_{name}", saved(modes[name], "PPM")
    rows = "\n".join(" ".join(str(v) for v in row) for row in noise[..., 0] // 16)
    yield "pnm_text", b"P2\n# of 16 levels\n19 17\n15\n" + rows.encode()
    for name in ("rgb", "gray", "rgba"):
        yield f"webp_{name}", saved(modes[name], "WEBP", quality=60)
        yield f"webp_{name}_lossless", saved(modes[name], "WEBP", lossless=True)
    yield "webp_animated", saved(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(90)])
    modes["gray16"], modes["cmyk"] = deep, inks
    for name in ("rgb", "gray", "rgba", "gray16", "cmyk", "bits"):
        yield f"tiff_{name}", saved(modes[name], "TIFF")
        yield f"tiff_{name}_lzw", saved(modes[name], "TIFF", compression="tiff_lzw")
    yield "tiff_deflate", saved(rgb, "TIFF", compression="tiff_adobe_deflate", tiffinfo={317: 2})
    yield "tiff_packbits", saved(rgb, "TIFF", compression="packbits")
    yield "tiff_group4", saved(bits, "TIFF", compression="group4")
    yield "tiff_pages", saved(rgb, "TIFF", save_all=True, append_images=[rgb.rotate(90)])


def with_orientation(value):
    exif = Image.Exif()
    exif[0x112] = value
    return exif


def refused():
    """What Pillow reads and we do not, or nobody does."""
    photo = photograph(19, 17)
    image = Image.fromarray(photo)
    yield "avif", saved(image, "AVIF"), "an AVIF picture"
    yield "jpeg_2000", saved(image, "JPEG2000"), "a JPEG 2000 picture"
    yield "ico", saved(image, "ICO"), "an icon"
    yield "tiff_jpeg", saved(image, "TIFF", compression="jpeg"), "JPEG data inside"
    yield "tiff_palette", saved(image.quantize(9), "TIFF"), "with a palette"
    yield "tiff_float", saved(photo[..., 0].astype(np.float32), "TIFF"), "not read"
    yield "jpeg_arithmetic", cjpeg(photo, "-arithmetic"), "arithmetic"
    yield "jpeg_arithmetic_progressive", cjpeg(photo, "-arithmetic", "-progressive"), "arithmetic"
    twelve = bytearray(cjpeg(photo))
    twelve[twelve.index(b"\xFF\xC0") + 4] = 12
    yield "jpeg_12_bits", bytes(twelve), "12 bits"
    for marker, name in ((0xC3, "lossless"), (0xC7, "hierarchical"), (0xCB, "lossless")):
        file = bytearray(cjpeg(photo))
        file[file.index(b"\xFF\xC0") + 1] = marker
        yield f"jpeg_marker_{marker:x}", bytes(file), name


def sweep(folder):
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {(w, h) for w in range(1, 41) for h in (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 40)}
    sizes |= {(w, h) for h in range(1, 41) for w in (1, 2, 5, 8, 16, 17, 33)}
    sizes |= {(64, 64), (100, 75), (223, 131)}
    count = 0
    for name, factors in {**SAMPLINGS, **RARE}.items():
        for index, (width, height) in enumerate(sorted(sizes)):
            content = ("smooth", "edges", "noise")[index % 3]
            pixels = photograph(width, height, content, index)
            kinds = KINDS if width > 40 else [list(KINDS)[index // 3 % len(KINDS)]]
            quality = str((75, 95, 30, 100)[index // 2 % 4])
            for kind in (*kinds, "scans"):
                options = ["-scans", SCANS] if kind == "scans" else KINDS[kind]
                file = folder / f"{name}_{kind}_{content}_{width}x{height}.jpg"
                file.write_bytes(cjpeg(pixels, "-quality", quality, "-sample", factors, *options))
                with file.with_suffix(".ppm").open("wb") as ppm:
                    subprocess.run(["djpeg", "-ppm", file], stdout=ppm, check=True)
                count += 1
    print(count, "files")


def main():
    if sys.argv[1:2] == ["sweep"]:
        return sweep(pathlib.Path(sys.argv[2]))
    from safetensors.numpy import save_file

    tensors = {}
    for name, file in cases():
        tensors[f"{name}/file"] = np.frombuffer(file, np.uint8)
        image = Image.open(io.BytesIO(file))
        image.load()
        tensors[f"{name}/pixels"] = np.ascontiguousarray(pixels_of(image))
        if name.startswith("upright"):
            upright = ImageOps.exif_transpose(image)
            tensors[f"{name}/upright"] = np.ascontiguousarray(pixels_of(upright))
    for name, file, told in refused():
        tensors[f"refused_{name}/file"] = np.frombuffer(file, np.uint8)
        tensors[f"refused_{name}/told"] = np.frombuffer(told.encode(), np.uint8)
    path = pathlib.Path(__file__).with_suffix(".safetensors")
    save_file(tensors, path)
    print(len(tensors), "tensors,", path.stat().st_size, "bytes")


main()
