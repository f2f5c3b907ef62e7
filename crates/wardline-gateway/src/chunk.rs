//! The chunked coding (RFC 9112, 7.1), read strictly: of requests, to see where they end, and of
//! answers, to take them apart.

/// Longest line with a chunk's size, and all trailers together.
const CHUNK_LINE: u32 = 256;
const TRAILERS: u32 = 8 * 1024;

/// What is expected next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunk {
    Size {
        value: u64,
        digits: u8,
        seen: u32,
        extension: bool,
    },
    SizeEnd {
        value: u64,
    },
    Data(u64),
    DataCr,
    DataLf,
    Trailer {
        seen: u32,
        begins: bool,
        cr: bool,
        field: bool,
    },
}

/// Before the first chunk, and between two.
pub(crate) const NEW_CHUNK: Chunk = Chunk::Size {
    value: 0,
    digits: 0,
    seen: 0,
    extension: false,
};

/// What a byte means.
pub(crate) enum Next {
    Goes(Chunk),
    Ends,
    Refused,
}

/// Reads one byte that is not data: of sizes, line ends and trailers.
pub(crate) fn next(chunk: Chunk, byte: u8) -> Next {
    Next::Goes(match (chunk, byte) {
        (
            Chunk::Size {
                value, digits: 1.., ..
            },
            b'\r',
        ) => Chunk::SizeEnd { value },
        (
            Chunk::Size {
                value,
                digits: digits @ 1..,
                seen,
                extension,
            },
            b';' | b'\t' | b' '..=b'~',
        ) if extension || byte == b';' => {
            if seen == CHUNK_LINE {
                return Next::Refused;
            }
            Chunk::Size {
                value,
                digits,
                seen: seen + 1,
                extension: true,
            }
        }
        (
            Chunk::Size {
                value,
                digits: digits @ 0..15,
                seen,
                extension: false,
            },
            _,
        ) => {
            let Some(digit) = char::from(byte).to_digit(16) else {
                return Next::Refused;
            };
            Chunk::Size {
                value: value * 16 + u64::from(digit),
                digits: digits + 1,
                seen,
                extension: false,
            }
        }
        (Chunk::SizeEnd { value: 0 }, b'\n') => Chunk::Trailer {
            seen: 0,
            begins: true,
            cr: false,
            field: false,
        },
        (Chunk::SizeEnd { value }, b'\n') => Chunk::Data(value),
        (Chunk::DataCr, b'\r') => Chunk::DataLf,
        (Chunk::DataLf, b'\n') => NEW_CHUNK,
        (
            Chunk::Trailer {
                cr: true,
                field: false,
                ..
            },
            b'\n',
        ) => return Next::Ends,
        (Chunk::Trailer { seen, cr: true, .. }, b'\n') => Chunk::Trailer {
            seen,
            begins: true,
            cr: false,
            field: false,
        },
        (
            Chunk::Trailer {
                seen,
                cr: false,
                field,
                ..
            },
            b'\r',
        ) => Chunk::Trailer {
            seen,
            begins: false,
            cr: true,
            field,
        },
        (
            Chunk::Trailer {
                seen,
                begins,
                cr: false,
                ..
            },
            b'\t' | b' '..=b'~' | 0x80..,
        ) if seen < TRAILERS && !(begins && matches!(byte, b' ' | b'\t')) => Chunk::Trailer {
            seen: seen + 1,
            begins: false,
            cr: false,
            field: true,
        },
        _ => return Next::Refused,
    })
}
