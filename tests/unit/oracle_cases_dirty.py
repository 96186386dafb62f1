"""Scripts of UFFDIO_MOVE, UFFDIO_POISON, PAGEMAP_SCAN and soft-dirty bits; see oracle_cases."""

from __future__ import annotations

CASES = {
    "move": """
        p0.0 mmap a0+4 rw
        p0.0 mmap a4+4 rw
        p0.0 write a0 =5
        p0.0 read a1
        p0.0 uffd-open u0
        m uffd-register u0 a4+4 missing
        p0.0 uffd-move u0 a4+2 a0       -> done 2
        ? p0 a0                         0
        ? p0 a1                         0
        ? p0 a4                         5 present exclusive
        ? p0 a5                         0 present
        ? p0 anon                       1
        p0.0 read a4                    -> 5
        p0.0 write a4 =6                -> done
        p0.0 read a0                    -> 0
        p0.0 uffd-move u0 a6 a4         -> done 1
        p0.0 read a6                    -> 6
        p0.1 read a4                    -> blocked fault
    """,
    "move wakes": """
        p0.0 mmap a0+4 rw
        p0.0 uffd-open u0
        m uffd-register u0 a2+2 missing
        p0.0 write a0 =3
        p0.0 write a1 =4
        p0.1 read a2                    -> blocked fault
        p0.2 write a3 =9                -> blocked fault
        p0.0 uffd-move u0 a2 a0         -> done 1; 5: 3
        p0.0 uffd-move u0 a3 a1 dontwake -> done 1
        m uffd-wake u0 a3               -> done; 6: done
        p0.0 read a3                    -> 9
    """,
    "move of holes": """
        p0.0 mmap a0+8 rw
        p0.0 uffd-open u0
        m uffd-register u0 a4+4 missing
        p0.0 write a0 =1
        p0.0 write a2 =2
        p0.0 uffd-move u0 a4+3 a0       -> EAGAIN 1
        p0.0 uffd-move u0 a5 a1         -> ENOENT -2
        p0.0 uffd-move u0 a5+2 a1 holes -> done 2
        ? p0 a4                         1 present exclusive
        ? p0 a5                         0
        ? p0 a6                         2 present exclusive
        ? p0 a2                         0
        p0.0 write a0 =1
        p0.0 uffd-move u0 a4 a0 holes   -> EEXIST -17
        p0.0 uffd-move u0 a4 a4 holes   -> EEXIST -17
    """,
    "move of what is shared": """
        p0.0 mmap a0+4 rw
        p0.0 write a0 =1
        p0.0 uffd-open u0
        m uffd-register u0 a2+2 missing
        p0.0 fork p1
        p0.0 uffd-move u0 a2 a0         -> EBUSY -16
        p0.0 write a0 =2
        p0.0 uffd-move u0 a2 a0         -> done 1
        p1.0 read a0                    -> 1
        p0.0 read a2                    -> 2
        p1.0 uffd-move u0 a2 a0         -> EINVAL
    """,
    "move between mappings": """
        p0.0 mmap a0+2 rw
        p0.0 mmap a2+2 r
        p0.0 mmap a8+2 rw
        p0.0 write a0 =1
        p0.0 uffd-open u0
        p0.0 uffd-open u1
        m uffd-register u0 a2 missing
        m uffd-register u0 a8+2 missing
        p0.0 uffd-move u0 a2 a0         -> EINVAL -22
        p0.0 uffd-move u0 a3 a0         -> EINVAL -22
        p0.0 uffd-move u1 a8 a0         -> EINVAL -22
        p0.0 uffd-move u0 a8+2 a1       -> EINVAL -22
        p0.0 uffd-move u0 a9+2 a0       -> EINVAL -22
        p0.0 uffd-move u0 a8 a20        -> ENOENT -2
        p0.0 uffd-move u0 a20 a0        -> ENOENT -2
        p0.0 uffd-move u2 a8 a0         -> skipped no_handle
        p0.0 uffd-move u0 a8 a0         -> done 1
    """,
    "move and write protection": """
        p0.0 mmap a0+4 rw
        p0.0 uffd-open u0 wp-unpopulated
        m uffd-register u0 a0+4 missing,wp
        m uffd-copy u0 a0 =5 wp
        p0.0 uffd-move u0 a2 a0         -> done 1
        ? p0 a2                         5 present exclusive
        p0.0 write a2 =6                -> done
        m uffd-wp u0 a2                 -> done
        p0.0 uffd-move u0 a3 a2         -> done 1
        p0.0 read a3                    -> 6
        m uffd-wp u0 a0                 -> done
        p0.0 uffd-move u0 a1 a0         -> EFAULT -14
    """,
    "move while the memory changes": """
        p0.0 mmap a0+4 rw
        p0.0 write a0 =1
        p0.0 uffd-open u0 event-fork
        m uffd-register u0 a2+2 missing
        p0.0 fork p1                    -> blocked event
        p0.1 uffd-move u0 a2 a0         -> EAGAIN -11
        m uffd-poison u0 a2             -> EAGAIN -11
        m uffd-read u0 u1               -> fork u1; 4: done
        p1.0 uffd-move u1 a2 a0         -> EBUSY -16
    """,
    "poison": """
        p0.0 mmap a0+4 rw
        p0.0 uffd-open u0
        m uffd-register u0 a0+4 missing
        p0.0 read a0                    -> blocked fault
        p0.1 write a1 =1                -> blocked fault
        m uffd-poison u0 a0+2           -> done 2; 3: SIGBUS; 4: SIGBUS
        p0.0 read a0                    -> SIGBUS
        p0.0 write a0 =1                -> SIGBUS
        p0.0 mprotect a0 none           -> done
        p0.0 read a0                    -> SIGSEGV
        p0.0 mprotect a0 rw             -> done
        p0.0 read a0                    -> SIGBUS
        p0.0 madvise a0 dontneed        -> done
        p0.0 read a0                    -> blocked fault
        m uffd-unregister u0 a0+4       -> done; 13: 0
        p0.0 read a1                    -> SIGBUS
        p0.0 mmap a1 rw                 -> done
        p0.0 read a1                    -> 0
    """,
    "poison over fork": """
        p0.0 mmap a0+2 rw
        p0.0 uffd-open u0
        m uffd-register u0 a0+2 missing
        m uffd-poison u0 a0             -> done 1
        p0.0 fork p1                    -> done
        p1.0 read a0                    -> SIGBUS
        p1.0 madvise a0 dontneed        -> done
        p1.0 read a0                    -> 0
        p0.0 read a0                    -> SIGBUS
        p0.0 exit                       -> done
        m uffd-poison u0 a0             -> ESRCH
    """,
    "poison over something": """
        p0.0 mmap a0+4 rw
        p0.0 uffd-open u0 wp-unpopulated
        m uffd-register u0 a0+4 missing,wp
        m uffd-copy u0 a1 =1            -> done 1
        m uffd-wp u0 a2                 -> done
        m uffd-poison u0 a0+2           -> EAGAIN 1
        m uffd-poison u0 a0             -> EEXIST -17
        m uffd-poison u0 a1             -> EEXIST -17
        m uffd-poison u0 a2             -> EEXIST -17
        m uffd-wp u0 a0                 -> done
        p0.0 read a0                    -> SIGBUS
        p0.0 uffd-move u0 a3 a0         -> EFAULT -14
        p0.0 uffd-move u0 a0 a1         -> EEXIST -17
        m uffd-poison u0 a20            -> ENOENT -2
    """,
    "pagemap-scan": """
        p0.0 mmap a0+4 rw
        p0.0 write a0 =1
        p0.0 read a1
        p0.0 pagemap-scan a0+4 present  -> a0 a1
        p0.0 pagemap-scan a0+4 pfnzero  -> a1
        p0.0 pagemap-scan a0+4 pfnzero present -> a1
        p0.0 pagemap-scan a0+4 present inverted -> a2 a3
        p0.0 pagemap-scan a0+4 written present -> a0 a1
        p0.0 pagemap-scan a0+4 pfnzero inverted,present -> a0
        p0.0 pagemap-scan a0+4 present inverted,present -> a2 a3
        p0.0 pagemap-scan a0+4 huge     -> none
        p0.0 pagemap-scan a0+4 file present -> none
        p0.0 pagemap-scan a8+4 present  -> none
        p0.0 pagemap-scan a0+4 wpallowed -> none
        p0.0 pagemap-scan a0+4 present wp -> none
        p0.0 pagemap-scan a0+4 present check -> EPERM
    """,
    "pagemap-scan protects": """
        p0.0 mmap a0+5 rw
        p0.0 uffd-open u0 wp-async
        m uffd-register u0 a0+4 wp
        p0.0 write a0 =1
        p0.0 write a1 =1
        p0.0 read a2
        p0.0 pagemap-scan a0+3 written wp,check,present -> a0 a1 a2
        ? p0 a0                         1 present wp exclusive
        ? p0 a2                         0 present wp
        p0.0 pagemap-scan a0+3 written  -> none
        p0.0 read a1                    -> 1
        p0.0 write a1 =2                -> done
        p0.0 write a2 =2                -> done
        p0.0 pagemap-scan a0+3 written wp -> a1 a2
        p0.0 pagemap-scan a0+3 written wp -> none
        p0.0 pagemap-scan a0+5 wpallowed -> a0 a1 a2 a3
        p0.0 pagemap-scan a0+3 wpallowed present -> a0 a1 a2
        p0.0 pagemap-scan a0+5 written wp,check,present -> EPERM
        m uffd-resolve u0 a0            -> done
        p0.0 pagemap-scan a0+3 written  -> a0
        p0.0 fork p1                    -> done
        p1.0 pagemap-scan a0+3 written present -> a0 a1 a2
    """,
}

#: What the kernel may choose, with the oracle's own choice.
CHOICES = {
    "filling poisoned pages": """
        p0.0 mmap a0+2 rw
        p0.0 uffd-open u0
        m uffd-register u0 a0+2 missing
        m uffd-poison u0 a0+2           -> done 2
        m uffd-zeropage u0 a0           -> EEXIST -17
        m uffd-copy u0 a0 =4            -> done 1
        p0.0 read a0                    -> 4
    """,
    "move of a page in swap": """
        p0.0 mmap a0+4 rw
        p0.0 write a0 =5
        p0.0 uffd-open u0
        m uffd-register u0 a0+2 wp
        m uffd-register u0 a2+2 missing
        m uffd-wp u0 a0                 -> done
        m swap-out p0 a0                -> done
        p0.0 uffd-move u0 a2 a0         -> done 1
        p0.0 read a2                    -> 5
        p0.0 read a0                    -> 0
    """,
    "missing pages in a scan": """
        p0.0 mmap a0+2 rw
        p0.0 uffd-open u0 wp-async
        m uffd-register u0 a0+2 wp
        m uffd-wp u0 a0
        p0.0 pagemap-scan a0+2 written
        p0.0 pagemap-scan a0+2 written wp
        p0.0 pagemap-scan a0+2 swapped
    """,
}

CASES |= {
    "soft-dirty": """
        p0.0 mmap a0+4 rw
        p0.0 write a0 =1
        p0.0 write a1 =1
        p0.0 read a2
        ? p0 a0                         1 present exclusive
        p0.0 clear-refs soft-dirty      -> done
        ? p0 a0                         1 present exclusive
        p0.0 read a0                    -> 1
        p0.0 read a3                    -> 0
        p0.0 write a1 =2                -> done
        p0.0 write a2 =2                -> done
        ? p0 a0                         1 present exclusive
        ? p0 a1                         2 present exclusive soft-dirty
        ? p0 a2                         2 present exclusive soft-dirty
        ? p0 a3                         0 present
        p0.0 pagemap-scan a0+4 soft-dirty -> a1 a2
        p0.0 mprotect a0+4 r            -> done
        ? p0 a1                         2 present exclusive soft-dirty
        p0.0 clear-refs referenced      -> done
        ? p0 a1                         2 present exclusive soft-dirty
        p0.0 clear-refs soft-dirty      -> done
        ? p0 a1                         2 present exclusive
    """,
    "soft-dirty mappings": """
        p0.0 mmap a0+4 rw
        p0.0 clear-refs soft-dirty      -> done
        p0.0 mmap a8+2 rw
        ? p0 a8                         0 soft-dirty
        ? p0 a0                         0
        p0.0 write a0 =1
        p0.0 munmap a0                  -> done
        ? p0 a0                         0
        p0.0 mmap a0 r
        ? p0 a0                         0 soft-dirty
        p0.0 pagemap-scan a0+16 soft-dirty -> a0 a8 a9
    """,
    "soft-dirty and fork": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.0 write a1 =1
        p0.0 clear-refs soft-dirty      -> done
        p0.0 write a0 =2
        p0.0 fork p1                    -> done
        ? p1 a0                         2 present soft-dirty
        ? p0 a0                         2 present soft-dirty
        ? p0 a1                         1 present
        p0.0 write a1 =2
        ? p0 a1                         2 present exclusive soft-dirty
        p1.0 clear-refs soft-dirty      -> done
        ? p0 a0                         2 present soft-dirty
        ? p1 a0                         2 present
        p1.0 write a0 =3
        ? p1 a0                         3 present exclusive soft-dirty
    """,
    "soft-dirty and userfaultfd": """
        p0.0 mmap a0+4 rw
        p0.0 write a0 =1
        p0.0 write a1 =1
        p0.0 uffd-open u0
        m uffd-register u0 a0+4 missing,wp
        m uffd-wp u0 a0                 -> done
        p0.0 clear-refs soft-dirty      -> done
        p0.0 write a0 =2                -> blocked fault
        ? p0 a0                         1 present wp exclusive
        m uffd-resolve u0 a0            -> done; 7: done
        ? p0 a0                         2 present exclusive soft-dirty
        m uffd-copy u0 a2 =3            -> done 1
        ? p0 a2                         3 present exclusive soft-dirty
        p0.0 uffd-move u0 a3 a1         -> done 1
        ? p0 a3                         1 present exclusive soft-dirty
        ? p0 a1                         0
        p0.0 fork p1
        p0.0 read a3                    -> 1
    """,
}
