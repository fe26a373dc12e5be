"""The built-in compressors, by name."""

from __future__ import annotations

from compgen.compressors.base import Compressor, Meter
from compgen.registry import Entry, Registry

__all__ = ["COMPRESSORS", "Compressor", "Meter"]

COMPRESSORS: Registry[Compressor] = Registry(
    "compressor",
    "compgen.compressors",
    "compgen.compressors.base:Compressor",
    {
        "gzip": Entry("compgen.compressors.deflate:Gzip"),
        "zlib": Entry("compgen.compressors.deflate:Zlib"),
        "deflate": Entry("compgen.compressors.deflate:Deflate"),
        "bz2": Entry("compgen.compressors.bzip2:Bzip2"),
        "xz": Entry("compgen.compressors.xz:Xz"),
        "lzma": Entry("compgen.compressors.xz:Xz", alias_of="xz"),
        "zstd": Entry("compgen.compressors.zstd:Zstd"),
        "zstd-dict": Entry("compgen.compressors.zstd:ZstdDict"),
        "brotli": Entry("compgen.compressors.brotli:Brotli"),
        "ppmd": Entry("compgen.compressors.ppmd:Ppmd", extra="ppmd"),
        "png": Entry("compgen.compressors.png:Png"),
        "flac": Entry("compgen.compressors.flac:Flac", extra="media"),
        "jpegxl": Entry("compgen.compressors.raster:JpegXl", extra="imagecodecs"),
        "jpegls": Entry("compgen.compressors.raster:JpegLs", extra="imagecodecs"),
        "webp": Entry("compgen.compressors.raster:WebP", extra="imagecodecs"),
        "null": Entry("compgen.compressors.null:Null"),
        "model": Entry("compgen.coding.model_compressor:ModelCompressor"),
        "command": Entry("compgen.compressors.command:Command"),
    },
)
