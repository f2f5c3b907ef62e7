//! SQLite's table of C functions, filled with calls of the [`Gate`] and of the Unix layer.
//!
//! The only module with `unsafe`. What it rests on, named at each use:
//! - *table*: SQLite calls these functions with the pointers that its documentation of
//!   `sqlite3_vfs` and `sqlite3_io_methods` promises, and not after `xClose`;
//! - *ours*: a `sqlite3_file` that reaches [`METHODS`] was filled by [`open`], so it is a
//!   [`FaultFile`] whose `inner` lives until [`close`];
//! - *real*: `Inner::real` was opened by the Unix layer with room for its `szOsFile`.

use crate::error::FaultError;
use crate::gate::{Gate, Tracked};
use crate::rule::Part;
use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

/// A layer that SQLite knows by name.
#[derive(Debug)]
pub(crate) struct Registration {
    name: String,
    vfs: *mut sqlite3_vfs,
}

// SAFETY: the pointer is only handed back to SQLite, which locks its list of layers itself.
unsafe impl Send for Registration {}
// SAFETY: as above; no method of a shared `Registration` reads through the pointer.
unsafe impl Sync for Registration {}

/// What `pAppData` points to.
struct Layer {
    base: *mut sqlite3_vfs,
    gate: Arc<Gate>,
}

impl Registration {
    pub(crate) fn new(name: &str, gate: Arc<Gate>) -> Result<Self, FaultError> {
        let c_name = CString::new(name).map_err(|_| FaultError::BadName(name.to_owned()))?;
        // SAFETY: no preconditions; it may be called at any time and more than once.
        let started = unsafe { ffi::sqlite3_initialize() };
        if started != ffi::SQLITE_OK {
            return Err(FaultError::Refused(started));
        }
        // SAFETY: `c_name` is a C string.
        if !unsafe { ffi::sqlite3_vfs_find(c_name.as_ptr()) }.is_null() {
            return Err(FaultError::NameTaken(name.to_owned()));
        }
        // SAFETY: NULL asks for the default layer.
        let base = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
        // SAFETY: a layer that SQLite knows lives as long as the process, or the pointer is NULL.
        let Some(unix) = (unsafe { base.as_ref() }) else {
            return Err(FaultError::Refused(ffi::SQLITE_NOTFOUND));
        };
        // Both are leaked on purpose: connections keep pointers to them for as long as they
        // live, which may be longer than the registration. It is a few hundred bytes a test.
        let layer = Box::leak(Box::new(Layer { base, gate }));
        let vfs = Box::leak(Box::new(sqlite3_vfs {
            // The rest of the Unix layer's functions (names, time, chance) do not look at the
            // layer that they are called for, so they stay.
            szOsFile: size_of::<FaultFile>() as c_int,
            pNext: ptr::null_mut(),
            zName: c_name.into_raw(),
            pAppData: ptr::from_mut(layer).cast(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            ..*unix
        }));
        // SAFETY: `vfs` and everything it points to live as long as the process.
        match unsafe { ffi::sqlite3_vfs_register(vfs, 0) } {
            ffi::SQLITE_OK => Ok(Self {
                name: name.to_owned(),
                vfs,
            }),
            refused => Err(FaultError::Refused(refused)),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: it was registered by `new` and its memory is never freed.
        let gone = unsafe { ffi::sqlite3_vfs_unregister(self.vfs) };
        debug_assert_eq!(gone, ffi::SQLITE_OK, "SQLite takes back what it took");
    }
}

/// What SQLite holds of an open file.
#[repr(C)]
struct FaultFile {
    base: sqlite3_file,
    inner: *mut Inner,
}

struct Inner {
    /// Room for the Unix layer's own file, aligned for any of its fields.
    real: Box<[u64]>,
    gate: Arc<Gate>,
    /// `None` for temporary files, which no power cut concerns.
    tracked: Option<Tracked>,
}

impl Inner {
    fn real(&mut self) -> *mut sqlite3_file {
        self.real.as_mut_ptr().cast()
    }

    fn part(&self) -> Part {
        self.tracked.map_or(Part::Other, |tracked| tracked.part)
    }
}

/// Calls a function of the Unix layer on the real file, or fails with `$missing` where the
/// layer has none.
macro_rules! real {
    ($inner:expr, $method:ident ( $($arg:expr),* ), $missing:expr) => {{
        let file = $inner.real();
        // SAFETY: *real*.
        let methods = unsafe { (*file).pMethods };
        // SAFETY: *real*: after a successful open `pMethods` points to a static table.
        match unsafe { methods.as_ref() }.and_then(|methods| methods.$method) {
            // SAFETY: *table* and *real*: the arguments are those that SQLite passed to us.
            Some(call) => unsafe { call(file, $($arg),*) },
            None => $missing,
        }
    }};
}

/// The file behind SQLite's pointer.
///
/// # Safety
/// *ours*, and no other reference to the same file is alive: SQLite uses a file from one
/// thread at a time.
unsafe fn inner<'a>(file: *mut sqlite3_file) -> &'a mut Inner {
    let ours = file.cast::<FaultFile>();
    // SAFETY: promised by the caller.
    let inner = unsafe { (*ours).inner };
    // SAFETY: promised by the caller.
    unsafe { &mut *inner }
}

/// The layer behind SQLite's pointer.
///
/// # Safety
/// `vfs` was made by [`Registration::new`].
unsafe fn layer<'a>(vfs: *mut sqlite3_vfs) -> &'a Layer {
    // SAFETY: promised by the caller.
    let data = unsafe { (*vfs).pAppData };
    // SAFETY: `new` put a leaked `Layer` there.
    unsafe { &*data.cast::<Layer>() }
}

/// The path that SQLite names; `None` for a temporary file.
///
/// # Safety
/// `name` is NULL or a C string that outlives the answer.
unsafe fn path<'a>(name: *const c_char) -> Option<&'a Path> {
    if name.is_null() {
        return None;
    }
    // SAFETY: promised by the caller.
    let name = unsafe { CStr::from_ptr(name) };
    Some(Path::new(OsStr::from_bytes(name.to_bytes())))
}

fn part_of_flags(flags: c_int) -> Part {
    if flags & ffi::SQLITE_OPEN_MAIN_DB != 0 {
        Part::Database
    } else if flags & ffi::SQLITE_OPEN_WAL != 0 {
        Part::Log
    } else if flags & (ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL) != 0 {
        Part::Journal
    } else {
        Part::Other
    }
}

fn part_of_path(path: &Path) -> Part {
    let name = path.as_os_str().as_bytes();
    if name.ends_with(b"-wal") {
        Part::Log
    } else if name.ends_with(b"-journal") {
        Part::Journal
    } else {
        Part::Database
    }
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: *table*: SQLite calls with the layer that was registered.
    let layer = unsafe { layer(vfs) };
    // SAFETY: the default layer lives as long as the process.
    let base = unsafe { &*layer.base };
    let Some(base_open) = base.xOpen else {
        return ffi::SQLITE_CANTOPEN;
    };
    let words = usize::try_from(base.szOsFile)
        .unwrap_or(0)
        .div_ceil(size_of::<u64>());
    let mut inner = Box::new(Inner {
        real: vec![0; words].into(),
        gate: Arc::clone(&layer.gate),
        tracked: None,
    });
    let real = inner.real();
    let open_real = |read_only: bool| {
        let writable = ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE;
        let flags = if read_only {
            flags & !writable | ffi::SQLITE_OPEN_READONLY
        } else {
            flags
        };
        // SAFETY: *table*, and `real` has the room that the Unix layer asked for.
        unsafe { base_open(layer.base, name, real, flags, out_flags) }
    };
    // SAFETY: *table*: `name` is NULL or outlives the open file.
    let result = match unsafe { path(name) } {
        Some(path) => {
            let creates = flags & ffi::SQLITE_OPEN_CREATE != 0;
            let (result, tracked) = layer
                .gate
                .open(path, part_of_flags(flags), creates, open_real);
            inner.tracked = tracked;
            result
        }
        None => open_real(false),
    };
    let ours = file.cast::<FaultFile>();
    if result != ffi::SQLITE_OK {
        // The Unix layer leaves nothing to close after a failure, and neither do we.
        // SAFETY: *table*: SQLite gives room for `szOsFile` bytes.
        unsafe { (*ours).base.pMethods = ptr::null() };
        return result;
    }
    let opened = FaultFile {
        base: sqlite3_file {
            pMethods: &raw const METHODS,
        },
        inner: Box::into_raw(inner),
    };
    // SAFETY: *table*: SQLite gives room for `szOsFile` bytes.
    unsafe { ours.write(opened) };
    result
}

unsafe extern "C" fn delete(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    sync_folder: c_int,
) -> c_int {
    // SAFETY: *table*: SQLite calls with the layer that was registered.
    let layer = unsafe { layer(vfs) };
    // SAFETY: the default layer lives as long as the process.
    let Some(base_delete) = (unsafe { (*layer.base).xDelete }) else {
        return ffi::SQLITE_IOERR_DELETE;
    };
    // SAFETY: *table*: `name` is a C string for the time of this call.
    let Some(path) = (unsafe { path(name) }) else {
        return ffi::SQLITE_IOERR_DELETE;
    };
    layer
        .gate
        .delete(path, part_of_path(path), sync_folder != 0, || {
            // SAFETY: *table*.
            unsafe { base_delete(layer.base, name, 0) }
        })
}

unsafe extern "C" fn access(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: *table*: SQLite calls with the layer that was registered.
    let layer = unsafe { layer(vfs) };
    if layer.gate.dark() {
        return ffi::SQLITE_IOERR_ACCESS;
    }
    // SAFETY: the default layer lives as long as the process.
    match unsafe { (*layer.base).xAccess } {
        // SAFETY: *table*.
        Some(base_access) => unsafe { base_access(layer.base, name, flags, out) },
        None => ffi::SQLITE_IOERR_ACCESS,
    }
}

/// The functions of an open file. Version 2: with the shared index of the log, without
/// memory-mapped reading, which would go past the layer.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let ours = file.cast::<FaultFile>();
    // SAFETY: *ours*.
    let pointer = unsafe { (*ours).inner };
    // SAFETY: *ours*: it came from `Box::into_raw` and SQLite closes a file once.
    let mut inner = unsafe { Box::from_raw(pointer) };
    real!(inner, xClose(), ffi::SQLITE_OK)
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    into: *mut c_void,
    amount: c_int,
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: *ours*.
    let inner = unsafe { inner(file) };
    let (gate, part) = (Arc::clone(&inner.gate), inner.part());
    gate.read(part, || {
        real!(inner, xRead(into, amount, offset), ffi::SQLITE_IOERR_READ)
    })
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    from: *const c_void,
    amount: c_int,
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: *ours*.
    let inner = unsafe { inner(file) };
    let real = inner.real();
    // SAFETY: *real*.
    let methods = unsafe { (*real).pMethods };
    // SAFETY: *real*: after a successful open `pMethods` points to a static table.
    let Some(real_write) = (unsafe { methods.as_ref() }).and_then(|methods| methods.xWrite) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    let (Ok(len), Ok(at)) = (usize::try_from(amount), u64::try_from(offset)) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    // SAFETY: *table* and *real*; never more than the `amount` that SQLite gave.
    let put = |most: usize| unsafe { real_write(real, from, most as c_int, offset) };
    let Some(tracked) = inner.tracked else {
        return put(len);
    };
    // SAFETY: *table*: `from` points to `amount` bytes.
    let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), len) };
    inner.gate.write(tracked, at, bytes, put)
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, len: sqlite3_int64) -> c_int {
    // SAFETY: *ours*.
    let inner = unsafe { inner(file) };
    let gate = Arc::clone(&inner.gate);
    if let (Some(tracked), Ok(to)) = (inner.tracked, u64::try_from(len)) {
        gate.truncate(tracked, to, || {
            real!(inner, xTruncate(len), ffi::SQLITE_IOERR_TRUNCATE)
        })
    } else {
        real!(inner, xTruncate(len), ffi::SQLITE_IOERR_TRUNCATE)
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: *ours*.
    let inner = unsafe { inner(file) };
    if let Some(tracked) = inner.tracked {
        inner.gate.sync(tracked)
    } else {
        real!(inner, xSync(flags), ffi::SQLITE_IOERR_FSYNC)
    }
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, out: *mut sqlite3_int64) -> c_int {
    // SAFETY: *ours*.
    let inner = unsafe { inner(file) };
    if inner.gate.dark() {
        return ffi::SQLITE_IOERR_FSTAT;
    }
    real!(inner, xFileSize(out), ffi::SQLITE_IOERR_FSTAT)
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: *ours*.
    let inner = unsafe { inner(file) };
    real!(inner, xLock(level), ffi::SQLITE_IOERR_LOCK)
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: *ours*.
    let inner = unsafe { inner(file) };
    real!(inner, xUnlock(level), ffi::SQLITE_IOERR_UNLOCK)
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: *ours*.
    let inner = unsafe { inner(file) };
    real!(
        inner,
        xCheckReservedLock(out),
        ffi::SQLITE_IOERR_CHECKRESERVEDLOCK
    )
}

unsafe extern "C" fn file_control(
    file: *mut sqlite3_file,
    op: c_int,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: *ours*.
    let inner = unsafe { inner(file) };
    if inner.gate.dark() {
        return ffi::SQLITE_NOTFOUND;
    }
    real!(inner, xFileControl(op, argument), ffi::SQLITE_NOTFOUND)
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    // SAFETY: *ours*.
    let inner = unsafe { inner(file) };
    real!(inner, xSectorSize(), 4_096)
}

unsafe extern "C" fn device_characteristics(file: *mut sqlite3_file) -> c_int {
    // SAFETY: *ours*.
    let inner = unsafe { inner(file) };
    real!(inner, xDeviceCharacteristics(), 0)
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: *ours*.
    let inner = unsafe { inner(file) };
    let gate = Arc::clone(&inner.gate);
    gate.map_index(|| {
        real!(
            inner,
            xShmMap(page, size, extend, out),
            ffi::SQLITE_IOERR_SHMMAP
        )
    })
}

unsafe extern "C" fn shm_lock(
    file: *mut sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: *ours*.
    let inner = unsafe { inner(file) };
    real!(
        inner,
        xShmLock(offset, count, flags),
        ffi::SQLITE_IOERR_SHMLOCK
    )
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    // SAFETY: *ours*.
    let inner = unsafe { inner(file) };
    real!(inner, xShmBarrier(), ());
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: *ours*.
    let inner = unsafe { inner(file) };
    // After a cut the name may belong to the database that was opened since.
    let delete = if inner.gate.dark() { 0 } else { delete };
    real!(inner, xShmUnmap(delete), ffi::SQLITE_OK)
}
