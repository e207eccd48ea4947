"""Writes tests/golden/store: small HDF5 files, their values as an .npz, and what h5py lists in them.

Who runs it, and when: a developer, by hand, and only when a case is added below; the tests read the stored files and
need no Python. It needs `pip install h5py numpy` and is run from the root of the repository, with the folder of real
NWB files where there is one (of these only names, shapes and types are kept, no values):

    python tools/reference/hdf5.py [../shared/data/nwb]

Written with h5py 3.16.0 over HDF5 2.0.0 and NumPy 2.4.6. The files hold the time of their writing, and nothing else that
changes from run to run.
"""

import itertools
import json
import sys
import zlib
from pathlib import Path

import h5py
import numpy as np

OUT = Path("tests/golden/store")
KINDS = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]


def array(kind, shape):
    """Values with extremes, from a formula."""
    dtype = np.dtype(kind)
    count = int(np.prod(shape, dtype=int))
    if dtype.kind == "f":
        values = np.array([(-1) ** i * 1.37**(i % 23 - 11) * (i + 1) for i in range(count)])
        special = [np.nan, np.inf, -np.inf, -0.0, np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal]
        if count > 12:
            values = values.astype(dtype)
            values[3:9] = special
        return values.astype(dtype).reshape(shape)
    limits = np.iinfo(dtype)
    span = int(limits.max) - int(limits.min) + 1
    values = [int(limits.min) + (i * 0x9E3779B97F4A7C15) % span for i in range(count)]
    if count > 1:
        values[0], values[1] = int(limits.min), int(limits.max)
    return np.array(values, dtype=dtype).reshape(shape)


# In an old file each array in chunks takes some kB for the tree of its chunks: these are for new files only.
NEW_ONLY = ["plain", "shuffled", "half", "bools", "scaled", "four_axes", "thousand", "two_unlimited", "single",
            "single_gzip", "larger_than_shape"]


def numbers(file, values, new):
    """All types and ways to store them."""

    def keep(path, data, **options):
        if new or path.split("/")[-1] not in NEW_ONLY:
            file.create_dataset(path, data=data, **options)
            values[path] = np.asarray(data)

    for kind in KINDS:
        for name, order in [("little", "<"), ("big", ">")]:
            keep(f"types/{kind}_{name}", array(order + kind, (3, 5)))
    keep("types/bool", np.array([True, False, True, True]))
    keep("chunks/plain", array("<f4", (7, 10)), chunks=(3, 4))
    keep("chunks/gzip", array("<f4", (7, 10)), chunks=(3, 4), compression="gzip", compression_opts=9)
    keep("chunks/shuffled", array("<i4", (6, 6)), chunks=(4, 4), compression="gzip", shuffle=True)
    keep("chunks/checked", array("<u2", (9, 5)), chunks=(4, 5), fletcher32=True)
    keep("chunks/everything", array(">f8", (5, 6, 7)), chunks=(2, 3, 4), compression="gzip", shuffle=True,
         fletcher32=True)
    keep("chunks/half", array(">f2", (11, 3)), chunks=(4, 2), compression="gzip")
    keep("chunks/bools", array("u1", (5, 5)) > 100, chunks=(2, 3), compression="gzip")
    keep("chunks/scaled", np.arange(100, 160, dtype="<i4").reshape(6, 10), chunks=(3, 10), scaleoffset=0)
    keep("chunks/many", array("<u2", (70,)), chunks=(1,))
    keep("chunks/thousand", array("<u2", (1200,)), chunks=(1,))
    keep("chunks/four_axes", array("<i2", (3, 4, 5, 2)), chunks=(2, 2, 2, 2))
    keep("chunks/one_unlimited", array("<f8", (13, 3)), chunks=(4, 2), maxshape=(None, 3))
    keep("chunks/two_unlimited", array("<f8", (6, 5)), chunks=(2, 2), maxshape=(None, None), compression="gzip")
    keep("chunks/single", array("<f4", (4, 4)), chunks=(4, 4))
    keep("chunks/single_gzip", array("<f4", (4, 4)), chunks=(4, 4), compression="gzip")
    keep("chunks/larger_than_shape", array("<f4", (3, 2)), chunks=(8, 8), maxshape=(None, None))
    keep("scalars/float", np.float32(1.5))
    keep("scalars/whole", np.int64(-(2**62)))
    keep("scalars/true", np.bool_(True))
    keep("empty/rows", np.zeros((0, 3), "<f4"))
    keep("empty/chunked", np.zeros((0, 3), "<f4"), chunks=(2, 3), maxshape=(None, 3))
    file["empty/null"] = h5py.Empty("<f4")
    # Chunks that nobody wrote hold the fill value.
    part = file.create_dataset("chunks/part", (8, 8), "<i4", chunks=(4, 4), fillvalue=-7)
    part[4:, :4] = array("<i4", (4, 4))
    values["chunks/part"] = part[()]
    file.create_dataset("unwritten/contiguous", (1000, 1000), "<f4")
    file.create_dataset("unwritten/chunked", (1000, 1000), "<f4", chunks=(100, 100))
    low_level(file, values)


def low_level(file, values):
    """What only the lower interface of h5py can ask for."""
    group = file.require_group("low")
    data = array("<i2", (4, 3))
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    early.set_chunk((2, 2))
    early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    for name, plist in [("compact", compact), ("early_chunks", early)]:
        space = h5py.h5s.create_simple(data.shape)
        made = h5py.h5d.create(group.id, name.encode(), h5py.h5t.STD_I16LE, space, plist)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, data)
        values[f"low/{name}"] = data


def grown(file, values, new):
    """Arrays with room to grow, some of them grown, cut short, or written in part: every kind of index of chunks."""
    filters = {
        "plain": {},
        "filtered": {"compression": "gzip", "shuffle": True, "fletcher32": True},
        "checked": {"fletcher32": True},
    }
    room = {
        "within_bounds": ((5, 7), (9, 20)), "rows": ((5, 7), (50, 7)), "columns": ((5, 7), (5, 50)),
        "one_unlimited": ((5, 7), (None, 20)), "other_unlimited": ((5, 7), (20, None)),
        "two_unlimited": ((5, 7), (None, None)), "line": ((10,), (30,)), "endless_line": ((10,), (None,)),
        "cube": ((3, 5, 4), (3, 50, 9)), "half_endless_cube": ((3, 5, 4), (20, None, 9)),
    }
    for (how, options), (name, (shape, largest)) in itertools.product(filters.items(), room.items()):
        # Files of the old format have one kind of index, and take some kB for each.
        if how != "plain" and name not in ["within_bounds", "cube"] or not new and name not in ["line", "cube"]:
            continue
        chunks = (2, 3, 2)[: len(shape)]
        kind = "<i2" if len(shape) % 2 else ">f4"
        made = dict(chunks=chunks, maxshape=largest, **options)
        data = array(kind, shape)
        path = f"{how}/{name}"
        keep_grown(file, values, f"{path}/whole", made, data, shape)
        # Two more of each axis, of which nothing is written; and one more, whose last corner is.
        keep_grown(file, values, f"{path}/grown", made, data, tuple(n + (2 if m != n else 0) for n, m in zip(shape, largest)))
        corner = keep_grown(file, values, f"{path}/corner", made, data, tuple(n + (m != n) for n, m in zip(shape, largest)))
        corner[tuple(slice(-2, None) for _ in shape)] = 5
        values[f"{path}/corner"] = corner[()]
        # Cut short and grown again: what was cut off is gone.
        cut = keep_grown(file, values, f"{path}/cut", made, data, tuple(max(1, n - 2) for n in shape))
        cut.resize(shape)
        values[f"{path}/cut"] = cut[()]
        part = file.create_dataset(f"{path}/part", shape, kind, fillvalue=-7, **made)
        part[tuple(slice(1, 4) for _ in shape)] = 3
        values[f"{path}/part"] = part[()]
    early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    early.set_chunk((2, 3))
    early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    space = h5py.h5s.create_simple((5, 7), (9, 20))
    made = h5py.h5d.create(file.require_group("early").id, b"chunks", h5py.h5t.STD_I16LE, space, early)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, array("<i2", (5, 7)))
    grown = h5py.Dataset(made)
    grown.resize((6, 11))
    grown[5, 10] = 1
    values["early/chunks"] = grown[()]
    if new:
        # So many chunks that their index has pages, most of them without an entry.
        pages = file.create_dataset("pages", (40, 60), "<i2", chunks=(1, 1), maxshape=(40, 90))
        pages[30:32, 50:] = array("<i2", (2, 10))
        values["pages"] = pages[()]


def keep_grown(file, values, path, options, data, shape):
    made = file.create_dataset(path, data=data, **options)
    made.resize(shape)
    values[path] = made[()]
    return made


def links(file):
    data = file.create_dataset("data/values", data=np.arange(6, dtype="<f4").reshape(2, 3))
    file["data/again"] = data
    file["soft/absolute"] = h5py.SoftLink("/data/values")
    file["soft/relative"] = h5py.SoftLink("deeper/values")
    file["soft/deeper"] = h5py.SoftLink("/data")
    file["soft/chain"] = h5py.SoftLink("/soft/absolute")
    file["soft/dangling"] = h5py.SoftLink("/nowhere/at/all")
    file["soft/loop"] = h5py.SoftLink("/soft/pool")
    file["soft/pool"] = h5py.SoftLink("/soft/loop")
    file["external"] = h5py.ExternalLink("other.h5", "/data/values")
    # A group that holds itself, and one that holds its parent.
    cycle = file.create_group("cycle")
    cycle["itself"] = cycle
    cycle.create_group("below")["up"] = cycle
    for i in range(40):
        file[f"many/name{i:02}"] = data
    file["references/objects"] = np.array([data.ref, file["many"].ref], dtype=h5py.ref_dtype)
    file["references/region"] = np.array([data.regionref[:1, :2]], dtype=h5py.regionref_dtype)
    file["named_type"] = np.dtype("<f8")


def texts(file, kept):
    def keep(path, read):
        kept[f"{Path(file.filename).name}:/{path}"] = read

    file["vlen/scalar"] = "größer als α"
    keep("vlen/scalar", ["größer als α"])
    words = ["", "one", "two words", "日本", "x" * 300]
    file.create_dataset("vlen/array", data=np.array(words, object).reshape(5, 1), dtype=h5py.string_dtype())
    keep("vlen/array", words)
    file.create_dataset("vlen/ascii", data=np.array([b"a", b"bc"], object), dtype=h5py.string_dtype("ascii"))
    keep("vlen/ascii", ["a", "bc"])
    file.create_dataset("vlen/chunked", data=np.array(words * 3, object), dtype=h5py.string_dtype(), chunks=(4,),
                        compression="gzip")
    keep("vlen/chunked", words * 3)
    unset = file.create_dataset("vlen/partly_written", (4,), h5py.string_dtype(), chunks=(2,))
    unset[0] = "only this"
    keep("vlen/partly_written", ["only this", "", "", ""])
    file["fixed/padded"] = np.array([b"abc", b"", b"defgh"], "S5")
    keep("fixed/padded", ["abc", "", "defgh"])
    file["fixed/scalar"] = np.bytes_(b"scalar text")
    keep("fixed/scalar", ["scalar text"])
    for name, padding in [("terminated", h5py.h5t.STR_NULLTERM), ("spaces", h5py.h5t.STR_SPACEPAD)]:
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(6)
        kind.set_strpad(padding)
        space = h5py.h5s.create_simple((2,))
        made = h5py.h5d.create(file["fixed"].id, name.encode(), kind, space)
        data = np.array([b"ab\0zz", b"abcde"], "S6") if name == "terminated" else np.array([b"ab    ", b"abcdef"], "S6")
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, data, mtype=kind)
        keep(f"fixed/{name}", ["ab", "abcde"] if name == "terminated" else ["ab", "abcdef"])
    file.create_dataset("fixed/utf8", (2,), h5py.string_dtype("utf-8", 4))[...] = ["é", "ab"]
    keep("fixed/utf8", ["é", "ab"])
    attributes(file["vlen/array"])
    attributes(file["fixed"])


def attributes(owner):
    """More than eight, so that newer formats keep them outside of the header."""
    owner.attrs["text"] = "a text, größer"
    owner.attrs["fixed"] = np.bytes_(b"fixed text")
    owner.attrs["texts"] = ["one", "", "three"]
    owner.attrs["fixed_texts"] = np.array([b"a", b"bcd"])
    owner.attrs["whole"] = np.int32(-5)
    owner.attrs["unsigned"] = np.uint64(2**63)
    owner.attrs["big_endian"] = np.array(258, ">i4")
    owner.attrs["float"] = np.float32(0.1)
    owner.attrs["double"] = 1e300
    owner.attrs["half"] = np.float16(1.5)
    owner.attrs["list"] = np.array([1, 2, 3], ">i2")
    owner.attrs["true"] = np.bool_(True)
    owner.attrs["nothing"] = h5py.Empty("<f4")
    owner.attrs["reference"] = owner.ref


def odd(file):
    """What is listed, and refused by name."""
    file["compound"] = np.zeros(3, np.dtype([("x", "<f4"), ("n", "<i2"), ("name", "S4"), ("two", "<f8", (2,))]))
    file["padded_compound"] = np.zeros(2, np.dtype({"names": ["a", "b"], "formats": ["<i2", ">f8"],
                                                    "offsets": [0, 8], "itemsize": 24}))
    file["complex"] = np.array([1 + 2j])
    file["enumeration"] = np.array([0, 1], h5py.enum_dtype({"a": 0, "b": 1, "c": 2}, "<i2"))
    file["opaque"] = np.array([b"abc"], "V3")
    lists = file.create_dataset("lists", (2,), h5py.vlen_dtype("<i4"))
    lists[0] = [1, 2, 3]
    file.create_dataset("arrays", (2,), np.dtype(("<f4", (3,))))[...] = np.ones((2, 3), "<f4")
    file["long_double"] = np.zeros(2, np.longdouble)
    file.create_dataset("lzf", data=np.zeros((10, 10), "<f4"), chunks=(5, 5), compression="lzf")
    layout = h5py.VirtualLayout((4,), "<f4")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "data", (4,))
    file.create_virtual_dataset("virtual", layout)
    file.create_dataset("raw_elsewhere", (4,), "<f4", external=[("raw.bin", 0, 16)])
    bits = h5py.h5t.STD_B16LE.copy()
    brain_float = h5py.h5t.IEEE_F16LE.copy()
    brain_float.set_fields(15, 7, 8, 0, 7)
    brain_float.set_ebias(127)
    twelve_bits = h5py.h5t.STD_U16LE.copy()
    twelve_bits.set_precision(12)
    for name, kind in [(b"bits", bits), (b"brain_float", brain_float), (b"twelve_bits", twelve_bits)]:
        h5py.h5d.create(file.id, name, kind, h5py.h5s.create_simple((2,)))


def bombs(file):
    """Chunks that grow by a thousand: by their shape, and against it."""
    file.create_dataset("by_shape", data=np.zeros(4_000_000, "u1"), chunks=(4_000_000,), compression="gzip")
    against = file.create_dataset("against_shape", (100,), "u1", chunks=(100,), compression="gzip")
    against.id.write_direct_chunk((0,), zlib.compress(bytes(4_000_000), 9))
    file.create_dataset("broken_sum", data=np.arange(100, dtype="u1"), chunks=(100,), fletcher32=True)


def ten_gigabytes(path):
    """The head of a file whose one array of (100000, 26000) floats begins at byte 2048 and lies to its end."""
    with h5py.File(path, "w", libver="earliest") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        space = h5py.h5s.create_simple((100_000, 26_000))
        made = h5py.h5d.create(file.id, b"traces", h5py.h5t.IEEE_F32LE, space, plist)
        assert made.get_offset() == 2048
    path.open("r+b").truncate(2048)


def listing(path):
    """What h5py lists: a line for each member."""
    lines = []
    with h5py.File(path, "r") as file:
        walk(file["/"], "", {h5py.h5o.get_info(file["/"].id).addr: "/"}, lines)
    return lines


def walk(group, prefix, seen, lines):
    for name in group:
        path = f"{prefix}/{name}"
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.SoftLink):
            lines.append([path, "soft", link.path])
            continue
        if isinstance(link, h5py.ExternalLink):
            lines.append([path, "external", f"{link.filename}:{link.path}"])
            continue
        found = group[name]
        address = h5py.h5o.get_info(found.id).addr
        if address in seen:
            lines.append([path, "hard", seen[address]])
            continue
        seen[address] = path
        if isinstance(found, h5py.Group):
            lines.append([path, "group"])
            walk(found, path, seen, lines)
        elif isinstance(found, h5py.Dataset):
            plist = found.id.get_create_plist()
            filters = [[plist.get_filter(i)[0], list(plist.get_filter(i)[2])] for i in range(plist.get_nfilters())]
            shape = None if found.shape is None else list(found.shape)
            chunks = None if found.chunks is None else list(found.chunks)
            lines.append([path, "array", shape, str(found.dtype), chunks, filters])
        else:
            lines.append([path, "type"])


def write(name, lines):
    text = ",\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    (OUT / f"{name}.json").write_text(f"[\n{text}\n]\n")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    values, kept = {}, {}
    with h5py.File(OUT / "old.h5", "w", libver="earliest") as file:
        numbers(file, values, new=False)
    with h5py.File(OUT / "new.h5", "w", libver="latest", track_order=True) as file:
        numbers(file, values, new=True)
    with h5py.File(OUT / "behind_a_block.h5", "w", libver=("v110", "v110"), userblock_size=1024) as file:
        file["types/f8_little"] = array("<f8", (3, 5))
    for name, libver in {"old": "earliest", "new": "latest"}.items():
        kept_grown = {}
        with h5py.File(OUT / f"grown_{name}.h5", "w", libver=libver) as file:
            grown(file, kept_grown, name == "new")
            file.create_dataset("texts", data=np.array([b"V1", b"LM", b"AL"], "S2"), chunks=(2,), maxshape=(9,))
            file["texts"].resize((5,))
            kept[f"grown_{name}.h5:/texts"] = ["V1", "LM", "AL", "", ""]
        np.savez_compressed(OUT / f"grown_{name}.npz", **kept_grown)
    for name, options in {"old": {"libver": "earliest"}, "new": {"libver": "latest"}}.items():
        with h5py.File(OUT / f"links_{name}.h5", "w", **options) as file:
            links(file)
        with h5py.File(OUT / f"texts_{name}.h5", "w", **options) as file:
            texts(file, kept)
    with h5py.File(OUT / "odd.h5", "w") as file:
        odd(file)
    with h5py.File(OUT / "bombs.hdf5", "w") as file:
        bombs(file)
    ten_gigabytes(OUT / "ten_gigabytes.head")
    np.savez_compressed(OUT / "values.npz", **values)
    (OUT / "texts.json").write_text(json.dumps(kept, ensure_ascii=False, indent=0) + "\n")
    for path in sorted(OUT.glob("*.h5")):
        write(f"listing_{path.stem}", listing(path))
    for folder in sys.argv[1:]:
        for path in sorted(Path(folder).glob("*.nwb")):
            write(f"listing_{path.stem}", listing(path))


main()
