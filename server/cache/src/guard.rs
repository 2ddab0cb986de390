//! Maps of files that somebody may cut short while they are read. The only module with unsafe code.
//!
//! Reading a page of a map that the file no longer has raises SIGBUS, which ends a process. Here it does not: the handler looks
//! whether the address lies in a map of ours, marks that map as damaged, and puts zeros where the file ended; the reader goes on,
//! and asks [`Guarded::is_intact`] before it believes what it read. Every other SIGBUS takes its course.
//!
//! The system raises nothing for the rest of the page in which a file ends now: it reads as zeros. So the last byte of a file that
//! is not zero is remembered, and looked at again: either it is gone, or nothing but zeros is.

use std::{
    ffi::{c_int, c_void},
    fs::File,
    io,
    ops::Deref,
    ptr,
    sync::{
        Once, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use memmap2::Mmap;

/// A map of a whole file, read as bytes.
#[derive(Debug)]
pub(crate) struct Guarded {
    map: Mmap,
    slot: &'static Slot,
    /// A byte of the last page that is looked at again, and what it was.
    last: Option<(usize, u8)>,
}

impl Guarded {
    /// Maps `file`, which must not be empty.
    #[expect(
        unsafe_code,
        reason = "mapping a file is unsafe because somebody could change it under the map"
    )]
    pub(crate) fn new(file: &File) -> io::Result<Self> {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(install);
        // SAFETY: the server writes cache files once, beside their place, and renames them: it never changes or truncates one
        // that has a name. Deleting one leaves the map valid. All types read through it accept any bytes, and what others may
        // do to a file is what this module is for.
        let map = unsafe { Mmap::map(file) }?;
        let slot = Slot::take();
        let start = map.as_ptr() as usize;
        slot.set(start, start + map.len().next_multiple_of(page_size()));
        let mut guarded = Self {
            map,
            slot,
            last: None,
        };
        guarded.last = guarded.last_byte();
        Ok(guarded)
    }

    /// The last byte that is not zero; in a page of zeros the last one, whose page is what counts.
    fn last_byte(&self) -> Option<(usize, u8)> {
        let end = self.map.len().checked_sub(1)?;
        let page = end - end % page_size();
        let tail = self.map.get(page..)?;
        let at = tail.iter().rposition(|&byte| byte != 0);
        let at = at.map_or(end, |at| page + at);
        Some((at, *self.map.get(at)?))
    }

    /// Whether everything that was read until now was in the file: a load or two, cheap enough to ask after every latent.
    #[expect(
        unsafe_code,
        reason = "the byte must be read anew, whatever the compiler knows of it"
    )]
    pub(crate) fn is_intact(&self) -> bool {
        let unchanged = |(at, byte): (usize, u8)| {
            // SAFETY: `at` was an index of this map when it was made, and the length of a map does not change.
            byte == unsafe { self.map.as_ptr().add(at).read_volatile() }
        };
        self.last.is_none_or(unchanged) && !self.slot.damaged.load(Ordering::Acquire)
    }
}

impl Deref for Guarded {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Before the memory is given back, and may become something else's.
        self.slot.give_back();
    }
}

/// What the handler knows of one map. Slots are never freed, so that the handler may walk over them without a lock; those of
/// maps that are gone are used again.
#[derive(Debug)]
struct Slot {
    taken: AtomicBool,
    /// Odd while the bounds change.
    version: AtomicUsize,
    start: AtomicUsize,
    end: AtomicUsize,
    damaged: AtomicBool,
    next: OnceLock<&'static Slot>,
}

static FIRST: Slot = Slot::new(false);

impl Slot {
    const fn new(taken: bool) -> Self {
        Self {
            taken: AtomicBool::new(taken),
            version: AtomicUsize::new(0),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            damaged: AtomicBool::new(false),
            next: OnceLock::new(),
        }
    }

    /// A slot that nobody has.
    fn take() -> &'static Self {
        let mut slot = &FIRST;
        loop {
            if !slot.taken.swap(true, Ordering::SeqCst) {
                return slot;
            }
            if let Some(next) = slot.next.get() {
                slot = next;
                continue;
            }
            let new: &'static Self = Box::leak(Box::new(Self::new(true)));
            if slot.next.set(new).is_ok() {
                return new;
            }
            // Somebody else was faster; the new one is lost, some bytes once in a while.
        }
    }

    fn set(&self, start: usize, end: usize) {
        self.version.fetch_add(1, Ordering::SeqCst);
        self.start.store(start, Ordering::SeqCst);
        self.end.store(end, Ordering::SeqCst);
        self.damaged.store(false, Ordering::SeqCst);
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    fn give_back(&self) {
        self.set(0, 0);
        self.taken.store(false, Ordering::SeqCst);
    }

    /// The end of the map, if the address lies in it. A slot that is changing has no map that anybody reads.
    fn end_if_holds(&self, address: usize) -> Option<usize> {
        let version = self.version.load(Ordering::SeqCst);
        let start = self.start.load(Ordering::SeqCst);
        let end = self.end.load(Ordering::SeqCst);
        let stable = version.is_multiple_of(2) && version == self.version.load(Ordering::SeqCst);
        (stable && (start..end).contains(&address)).then_some(end)
    }
}

static PAGE: AtomicUsize = AtomicUsize::new(4096);

fn page_size() -> usize {
    PAGE.load(Ordering::Relaxed)
}

/// What SIGBUS did before.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

#[expect(unsafe_code, reason = "handlers of signals are the system's interface")]
fn install() {
    // SAFETY: asks for a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    if let Ok(page) = usize::try_from(page)
        && page.is_power_of_two()
    {
        PAGE.store(page, Ordering::Relaxed);
    }
    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_sigbus;
    // SAFETY: all zeros are an action with an empty mask, of which the handler and the flags are set. The handler calls nothing
    // but atomic loads and stores and system calls that POSIX or Linux allow in one.
    let before = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        let mut before: libc::sigaction = std::mem::zeroed();
        (libc::sigaction(libc::SIGBUS, &raw const action, &raw mut before) == 0).then_some(before)
    };
    if let Some(before) = before {
        let _ = BEFORE.set(before);
    }
}

#[expect(unsafe_code, reason = "handlers of signals are the system's interface")]
extern "C" fn on_sigbus(signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: the system hands over a valid description of the signal; one of a fault (a positive code) has an address.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr() as usize) };
    if code > 0 && mend(address) {
        return;
    }
    // SAFETY: as in `install`; all zeros are the system's own action.
    unsafe {
        let default = std::mem::zeroed();
        let before = BEFORE.get().unwrap_or(&default);
        libc::sigaction(signal, before, ptr::null_mut());
        if code <= 0 {
            // Somebody sent it: it is sent again. A fault happens again when this returns.
            libc::raise(signal);
        }
    }
}

/// Puts zeros in the place of everything from `address` to the end of the map that holds it.
#[expect(unsafe_code, reason = "the map is replaced in part")]
fn mend(address: usize) -> bool {
    let mut next = Some(&FIRST);
    while let Some(slot) = next {
        if let Some(end) = slot.end_if_holds(address) {
            // First the mark: whoever reads the zeros sees it.
            slot.damaged.store(true, Ordering::SeqCst);
            let page = address - address % page_size();
            // SAFETY: the range lies in a map that is read-only, ours, and alive, because the thread that faulted reads it. What
            // was there cannot be read any more.
            let mapped = unsafe {
                libc::mmap(
                    page as *mut c_void,
                    end - page,
                    libc::PROT_READ,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
                    -1,
                    0,
                )
            };
            return mapped != libc::MAP_FAILED;
        }
        next = slot.next.get().copied();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn mapped(bytes: &[u8]) -> (File, Guarded) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let map = Guarded::new(&file).unwrap();
        (file, map)
    }

    #[test]
    fn a_file_that_is_cut_short_is_noticed_wherever_it_is_cut() {
        let page = page_size() as u64;
        let bytes = vec![7; 3 * page as usize - 100];
        for length in [0, 1, page - 1, page, 2 * page, 2 * page + 1, 3 * page - 101] {
            let (file, map) = mapped(&bytes);
            assert!(map.is_intact());
            file.set_len(length).unwrap();
            let sum: u64 = map.iter().map(|&byte| u64::from(byte)).sum();
            assert_eq!(sum, 7 * length, "zeros behind byte {length}");
            assert!(!map.is_intact(), "{length}");
            // Growing again does not heal it.
            file.set_len(bytes.len() as u64).unwrap();
            assert!(!map.is_intact(), "{length}");
        }
    }

    #[test]
    fn zeros_at_the_end_are_missed_only_where_nothing_is_lost() {
        let page = page_size();
        let (file, map) = mapped(&[&vec![7; page][..], &[0; 100]].concat());
        file.set_len(page as u64 + 3).unwrap();
        assert!(map.is_intact() && map[page..].iter().all(|&byte| byte == 0));
        file.set_len(page as u64).unwrap();
        assert!(!map.is_intact());
    }

    #[test]
    fn maps_do_not_know_of_each_other() {
        let (file, damaged) = mapped(&[7; 10]);
        let (_other, whole) = mapped(&[8; 10]);
        file.set_len(0).unwrap();
        assert!(!damaged.is_intact() && whole.is_intact());
        drop(damaged);
        // Whoever takes its slot is whole.
        let (_file, next) = mapped(&[9; 10]);
        assert!(next.is_intact() && whole.is_intact());
    }

    #[test]
    fn many_threads_read_what_is_cut_short_under_them() {
        let (file, map) = mapped(&vec![7; 1 << 20]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while map.is_intact() {
                        assert!(map.iter().step_by(512).all(|&byte| byte == 7 || byte == 0));
                    }
                });
            }
            file.set_len(1000).unwrap();
        });
    }
}
