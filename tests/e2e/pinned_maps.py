"""How many entries pinned BPF maps have, by the bpf(2) system call."""

import ctypes
import errno
import os
import struct

_SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
_GET_NEXT_KEY, _OBJ_GET, _GET_INFO = 4, 7, 15
_HASH_TYPES = {1, 5, 9, 10}  # hash, per-CPU hash, LRU hash, per-CPU LRU hash
_TRIE = 11
_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    result = _libc.syscall(_SYS_BPF, command, buffer, len(buffer))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"bpf command {command}")
    return result


def _type_and_key_size(fd):
    info = ctypes.create_string_buffer(128)
    _bpf(_GET_INFO, struct.pack("<IIQ", fd, len(info), ctypes.addressof(info)))
    kind, _, key_size = struct.unpack_from("<III", info.raw)
    return kind, key_size


def entries_of(path):
    """None of a map that is no hash and no trie, whose size cannot grow."""
    name = ctypes.create_string_buffer(path.encode())
    fd = _bpf(_OBJ_GET, struct.pack("<Q", ctypes.addressof(name)))
    try:
        kind, key_size = _type_and_key_size(fd)
        if kind not in _HASH_TYPES and kind != _TRIE:
            return None
        keys = [ctypes.create_string_buffer(key_size), ctypes.create_string_buffer(key_size)]
        count, previous = 0, 0
        while True:
            following = keys[count % 2]
            try:
                _bpf(_GET_NEXT_KEY, struct.pack("<IIQQ", fd, 0, previous, ctypes.addressof(following)))
            except OSError as error:
                if error.errno == errno.ENOENT:
                    return count
                raise
            previous = ctypes.addressof(following)
            count += 1
    finally:
        os.close(fd)


def entries_below(directory):
    """Of every pinned hash and trie below the directory: its path there, and its entries."""
    found = {}
    for folder, _, files in os.walk(directory):
        if "/maps" not in folder:
            continue
        for file in files:
            path = os.path.join(folder, file)
            count = entries_of(path)
            if count is not None:
                found[os.path.relpath(path, directory)] = count
    return found
