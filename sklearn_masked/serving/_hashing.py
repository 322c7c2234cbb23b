"""MurmurHash3 of words, as scikit-learn's HashingVectorizer takes it."""

import numpy as np

_C1, _C2 = np.uint32(0xCC9E2D51), np.uint32(0x1B873593)


def hashed_columns(words, n_columns):
    """Return the column of each word plus one, negative where it is subtracted."""
    hashes = murmurhash3_32([word.encode() for word in words]).astype(np.int64)
    columns = np.abs(hashes) % n_columns
    return np.where(hashes >= 0, columns + 1, -columns - 1)


def murmurhash3_32(keys, seed=0):
    """Return the 32-bit MurmurHash3 of byte strings, as int32."""
    lengths = np.array([len(key) for key in keys], np.int64)
    order = np.argsort(lengths, kind="stable")
    hashes = np.full(len(keys), seed, np.uint32)
    # Keys of one number of blocks of four bytes are hashed together.
    n_blocks = lengths[order] // 4
    ends = np.flatnonzero(np.diff(n_blocks, append=-1)) + 1
    for some in np.split(order, ends[:-1]):
        if len(some):
            hashes[some] = _hash_alike([keys[i] for i in some], hashes[some])
    hashes ^= lengths.astype(np.uint32)
    return _mix(hashes).view(np.int32)


def _hash_alike(keys, hashes):
    """Return the state after all bytes of keys with the same number of blocks."""
    width = 4 * (len(keys[0]) // 4 + 1)
    padded = b"".join([key.ljust(width, b"\0") for key in keys])
    blocks = np.frombuffer(padded, "<u4").reshape(len(keys), -1).T.astype(np.uint32)
    for block in blocks[:-1]:
        hashes ^= _scramble(block)
        hashes = _rotate(hashes, 13) * np.uint32(5) + np.uint32(0xE6546B64)
    # The last one to three bytes; zeros, where there are none, change nothing.
    return hashes ^ _scramble(blocks[-1])


def _scramble(block):
    return _rotate(block * _C1, 15) * _C2


def _rotate(number, bits):
    return (number << np.uint32(bits)) | (number >> np.uint32(32 - bits))


def _mix(hashes):
    hashes ^= hashes >> np.uint32(16)
    hashes *= np.uint32(0x85EBCA6B)
    hashes ^= hashes >> np.uint32(13)
    hashes *= np.uint32(0xC2B2AE35)
    return hashes ^ (hashes >> np.uint32(16))
