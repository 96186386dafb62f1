"""What each operation does, as scripts (see oracle_dsl): for the oracle, and to be confirmed by a live kernel.

Scripts hold no choice of the kernel, except those of CHOICES and DEVIATIONS, whose outcomes are the documented ones.
"""

from __future__ import annotations

import oracle_cases_dirty

CASES = {
    "mmap": """
        p0.0 mmap a1+2 rw               -> done
        ? p0 a0 vma                     unmapped
        ? p0 a1 vma                     r w
        ? p0 a1                         0
        p0.0 write a1 =5                -> done
        p0.0 read a1                    -> 5
        p0.0 mmap a0+3 r                -> done
        ? p0 a1                         0
        ? p0 anon                       0
        p0.0 read a1                    -> 0
        p0.0 mmap a0 none               -> done
        ? p0 a0 vma                     none
    """,
    "mmap ends a registration": """
        p0.0 mmap a0+2 rw
        p0.0 uffd-open u0
        m uffd-register u0 a0+2 missing
        p0.0 mmap a0 rw                 -> done
        ? p0 a0 vma                     r w
        ? p0 a1 vma                     r w missing
        p0.0 write a0 =1                -> done
    """,
    "hugetlbfs": """
        p0.0 mmap-hugetlb a1+8 rw       -> EINVAL
        p0.0 mmap-hugetlb a0+9 rw       -> done
        ? p0 a15 vma                    r w
        ? p0 a16 vma                    unmapped
        p0.0 read a3                    -> 0
        ? p0 anon                       0
        p0.0 write a7 =1                -> done
        p0.0 write a8 =2                -> done
        p0.0 fork p1                    -> done
        p1.0 write a0 =3                -> done
        p1.0 read a7                    -> 1
        p0.0 read a0                    -> 0
        p0.0 munmap a4+8                -> EINVAL
        p0.0 mprotect a0+12 r           -> EINVAL
        p0.0 write a0 =4                -> done
        p0.0 madvise a4 dontneed        -> EINVAL
        p0.0 madvise a0+8 dontneed      -> done
        p0.0 read a7                    -> 0
        p0.0 munmap a0+8                -> done
        p0.0 read a8                    -> 2
        p0.0 madvise a8 cold            -> skipped lacks
    """,
    "hugetlbfs while a task waits": """
        p0.0 mmap a0 rw
        p0.0 uffd-open u0
        m uffd-register u0 a0 missing
        p0.0 read a0                    -> blocked fault
        p0.1 mmap-hugetlb a8+8 rw       -> skipped busy
    """,
    "hugetlbfs given up in part": """
        p0.0 mmap-hugetlb a0+16 rw
        p0.0 write a1 =1
        p0.0 madvise a0+4 dontneed      -> done
        p0.0 madvise a8+4 dontneed      -> done
    """,
    "failure injection": """
        p0.0 mmap a0 rw
        m fail page n9                  -> done
        p0.0 write a0 =1                -> done
        p0.0 read a0                    -> 1
    """,
    "failure of swap": """
        p0.0 mmap a0 rw
        p0.0 write a0 =1
        m fail swap-write n1            -> done
        m swap-out p0 a0
        p0.0 read a0                    -> 1
        m fail swap-read n9             -> done
        p0.0 read a0                    -> 1
    """,
    "numa hints": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.1 read a1                    -> 0
        p0.0 numa-hint a0+2             -> done
        ? p0 a0                         1 present exclusive
        p0.1 read a0                    -> 1
        p0.0 numa-hint a0+4             -> done
        p0.0 write a0 =2                -> done
        ? p0 a0                         2 present exclusive
        p0.0 mprotect a0 r
        p0.0 numa-hint a0
        p0.0 write a0 =3                -> SIGSEGV
        p0.0 uffd-open u0
        m uffd-register u0 a1 wp
        p0.0 write a1 =4
        m uffd-wp u0 a1
        p0.0 numa-hint a1
        ? p0 a1                         4 present wp exclusive
        p0.0 write a1 =5                -> blocked fault
        p1.0 numa-hint a0               -> skipped no_process
    """,
    "guest": """
        p0.0 guest-read a0              -> EFAULT
        p0.0 mmap a0+2 rw
        p0.0 guest-read a0              -> 0
        p0.0 guest-write a0 =5          -> done
        ? p0 a0                         5 present exclusive
        p0.0 write a0 =6                -> done
        p0.0 guest-read a0              -> 6
        p0.0 fork p1
        p1.0 guest-write a0 =7          -> done
        p0.0 guest-read a0              -> 6
        p1.0 read a0                    -> 7
        p0.0 mprotect a0 r              -> done
        p0.0 guest-write a0 =8          -> EFAULT
        p0.0 guest-read a0              -> 6
        p0.0 mprotect a0 none           -> done
        p0.0 guest-read a0              -> EFAULT
    """,
    "guest and userfaultfd": """
        p0.0 mmap a0+2 rw
        p0.0 guest-write a0 =1
        p0.0 uffd-open u0
        m uffd-register u0 a0+2 missing,wp
        m uffd-wp u0 a0                 -> done
        p0.0 guest-read a0              -> 1
        p0.0 guest-write a0 =2          -> blocked fault
        m uffd-read u0 u1               -> fault write,wp a0
        p0.1 guest-read a1              -> blocked fault
        m uffd-resolve u0 a0            -> done; 6: done
        m uffd-copy u0 a1 =3            -> done 1; 8: 3
    """,
    "munmap": """
        p0.0 munmap a0+4                -> done
        p0.0 mmap a0+3 rw
        p0.0 write a1 =9
        p0.0 munmap a1                  -> done
        ? p0 a1 vma                     unmapped
        ? p0 a2 vma                     r w
        ? p0 anon                       0
        p0.0 read a1                    -> SIGSEGV
        p0.0 write a1 =1                -> SIGSEGV
    """,
    "mprotect": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =7
        p0.0 mprotect a0+2 r            -> done
        ? p0 a0                         7 present exclusive
        p0.0 read a0                    -> 7
        p0.0 write a0 =8                -> SIGSEGV
        p0.0 mprotect a0 none           -> done
        ? p0 a0                         7 present exclusive
        p0.0 read a0                    -> SIGSEGV
        p0.0 mprotect a0 rw             -> done
        p0.0 write a0 =8                -> done
        p0.0 read a0                    -> 8
    """,
    "mprotect over a hole": """
        p0.0 mmap a0 rw
        p0.0 mmap a2 rw
        p0.0 mprotect a0+3 r            -> ENOMEM
        ? p0 a0 vma                     r
        ? p0 a2 vma                     r w
        p0.0 mprotect a1+2 r            -> ENOMEM
        ? p0 a2 vma                     r w
    """,
    "madvise over a hole": """
        p0.0 mmap a0 rw
        p0.0 mmap a2 rw
        p0.0 write a0 =1
        p0.0 write a2 =1
        p0.0 madvise a0+3 dontneed      -> ENOMEM
        ? p0 anon                       0
        p0.0 madvise a0+3 mergeable     -> ENOMEM
        ? p0 a2 vma                     r w mergeable
        p0.0 madvise a5 mergeable       -> ENOMEM
    """,
    "dontneed": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.0 read a1
        p0.0 madvise a0+2 dontneed      -> done
        ? p0 a0                         0
        ? p0 a1                         0
        ? p0 anon                       0
        p0.0 read a0                    -> 0
    """,
    "dontneed drops write protection": """
        p0.0 mmap a0 rw
        p0.0 write a0 =1
        p0.0 uffd-open u0
        m uffd-register u0 a0 wp
        m uffd-wp u0 a0
        p0.0 madvise a0 dontneed
        ? p0 a0                         0
        p0.0 write a0 =2                -> done
    """,
    "read maps the zero page": """
        p0.0 mmap a0 rw
        p0.0 read a0                    -> 0
        ? p0 a0                         0 present
        ? p0 anon                       0
        p0.0 write a0 =3                -> done
        ? p0 a0                         3 present exclusive
        ? p0 anon                       1
    """,
    "fork shares, write copies": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.0 fork p1                    -> done
        ? live                          p0 p1
        ? p0 a0                         1 present
        ? p1 a0                         1 present
        ? p1 anon                       1
        p1.0 write a0 =2                -> done
        ? p0 a0                         1 present exclusive
        ? p1 a0                         2 present exclusive
        p0.0 read a0                    -> 1
        p0.0 fork p1                    -> skipped exists
        p1.0 fork p2                    -> done
        p2.0 fork p0                    -> skipped exists
    """,
    "exit": """
        p0.0 mmap a0 rw
        p0.0 write a0 =1
        p0.0 fork p1
        p0.0 exit                       -> done
        ? live                          p1
        ? p1 a0                         1 present exclusive
        p0.0 read a0                    -> skipped no_process
        p1.0 fork p0                    -> done
        ? p0 a0                         1 present
        p0.3 read a0                    -> 1
        p0.0 exit
        p1.0 exit                       -> done
        ? live                          nobody
        m ksm-merge p0 a0               -> skipped no_process
    """,
    "fork unregisters the child": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.0 uffd-open u0 wp-unpopulated
        m uffd-register u0 a0+2 missing,wp
        m uffd-wp u0 a0+2
        p0.0 fork p1                    -> done
        ? p1 a0 vma                     r w
        ? p1 a0                         1 present
        ? p1 a1                         0
        p1.0 write a0 =2                -> done
        p1.0 write a1 =2                -> done
        p0.0 write a0 =2                -> blocked fault
    """,
    "fork with its event": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.0 write a1 =1
        p0.0 uffd-open u0 event-fork
        m uffd-register u0 a0+2 wp
        m uffd-wp u0 a0
        p0.0 fork p1                    -> blocked event
        ? live                          p0
        ? p0 a0                         1 present wp
        p0.1 fork p1                    -> skipped exists
        p0.0 read a0                    -> skipped busy
        p1.0 read a0                    -> skipped no_process
        m uffd-wp u0 a0                 -> EAGAIN
        m uffd-resolve u0 a0            -> EAGAIN
        m uffd-copy u0 a0 =1            -> EAGAIN -11
        m uffd-zeropage u0 a0           -> EAGAIN -11
        m uffd-read u0 u0               -> skipped handle_used
        m uffd-read u0 u1               -> fork u1; 6: done
        ? live                          p0 p1
        ? p1 a0                         1 present wp
        ? p1 a1 vma                     r w wp
        p1.0 write a1 =2                -> done
        p1.0 write a0 =2                -> blocked fault
        m uffd-read u0 u2               -> EAGAIN
        m uffd-read u1 u2               -> fault write,wp a0
        m uffd-resolve u0 a0            -> done
        m uffd-resolve u1 a0            -> done; 17: done
        ? p1 a0                         2 present exclusive
    """,
    "fork event of two userfaultfds": """
        p0.0 mmap a0+2 rw
        p0.0 uffd-open u0 event-fork
        p0.0 uffd-open u1 event-fork
        m uffd-register u1 a0 wp
        m uffd-register u0 a1 wp
        p0.0 fork p1                    -> blocked event
        m uffd-read u0 u2               -> EAGAIN
        m uffd-wp u0 a1                 -> EAGAIN
        m uffd-read u1 u2               -> fork u2
        m uffd-wp u1 a0                 -> done
        m uffd-read u0 u3               -> fork u3; 5: done
    """,
    "fork event of a userfaultfd that is closed before its turn": """
        p0.0 mmap a0+2 rw
        p0.0 uffd-open u0 event-fork
        p0.0 uffd-open u1 event-fork
        m uffd-register u0 a0 missing
        m uffd-register u1 a1 missing
        p0.0 fork p1                    -> blocked event
        m uffd-close u1                 -> done
        m uffd-read u0 u2               -> fork u2; 5: done
        ? p1 a0 vma                     r w missing
        ? p1 a1 vma                     r w
    """,
    "fork event flushed by close": """
        p0.0 mmap a0 rw
        p0.0 write a0 =1
        p0.0 uffd-open u0 event-fork
        m uffd-register u0 a0 wp
        p0.0 fork p1                    -> blocked event
        m uffd-close u0                 -> done; 4: done
        ? p1 a0 vma                     r w
        ? p1 a0                         1 present
    """,
    "exit kills a fork under way": """
        p0.0 mmap a0 rw
        p0.0 write a0 =1
        p0.0 fork p2
        p0.0 uffd-open u0 event-fork
        m uffd-register u0 a0 wp
        p0.1 fork p1                    -> blocked event
        p0.0 exit                       -> done; 5: killed
        ? live                          p2
        ? p2 a0                         1 present exclusive
        m uffd-read u0 u1               -> EAGAIN
        p2.0 fork p1                    -> done
    """,
    "exit kills a fault": """
        p0.0 mmap a0 rw
        p0.0 uffd-open u0
        m uffd-register u0 a0 missing
        p0.1 read a0                    -> blocked fault
        p0.2 write a0 =1                -> blocked fault
        p0.0 exit                       -> done; 3: killed; 4: killed
        m uffd-read u0 u1               -> EAGAIN
    """,
    "uffd-open": """
        p0.0 uffd-open u0               -> done
        p0.0 uffd-open u0               -> skipped handle_used
        m uffd-close u1                 -> skipped no_handle
        m uffd-close u0                 -> done
        m uffd-read u0 u1               -> skipped no_handle
        p0.0 uffd-open u0 event-fork,wp-async,wp-unpopulated,sigbus -> done
    """,
    "uffd of a process that has exited": """
        p0.0 mmap a0 rw
        p0.0 uffd-open u0
        m uffd-register u0 a0 missing,wp
        p0.0 exit
        m uffd-register u0 a0 wp        -> ENOMEM
        m uffd-unregister u0 a0         -> ENOMEM
        m uffd-wp u0 a0                 -> ESRCH
        m uffd-resolve u0 a0            -> ESRCH
        m uffd-copy u0 a0 =1            -> ESRCH
        m uffd-zeropage u0 a0           -> ESRCH
        m uffd-wake u0 a0               -> done
        m uffd-close u0                 -> done
    """,
    "uffd-register": """
        p0.0 mmap a0+2 rw
        p0.0 uffd-open u0
        p0.0 uffd-open u1
        m uffd-register u0 a4 wp        -> EINVAL
        m uffd-register u0 a1+4 wp      -> done
        ? p0 a0 vma                     r w
        ? p0 a1 vma                     r w wp
        m uffd-register u1 a0+2 wp      -> EBUSY
        m uffd-register u0 a0+2 missing,wp -> done
        ? p0 a1 vma                     r w missing wp
        m uffd-register u0 a0+2 missing -> done
        ? p0 a1 vma                     r w missing wp
    """,
    "uffd-register replaces the mode": """
        p0.0 mmap a0 rw
        p0.0 uffd-open u0
        m uffd-register u0 a0 missing
        m uffd-register u0 a0 wp        -> done
        ? p0 a0 vma                     r w wp
    """,
    "uffd-unregister": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.0 uffd-open u0 wp-unpopulated
        m uffd-register u0 a0+2 wp
        m uffd-wp u0 a0+2
        m uffd-unregister u0 a4         -> EINVAL
        m uffd-unregister u0 a0+2       -> done
        ? p0 a0                         1 present exclusive
        ? p0 a1                         0
        ? p0 a0 vma                     r w
        m uffd-unregister u0 a0         -> done
    """,
    "uffd-unregister wakes those who miss a page": """
        p0.0 mmap a0+2 rw
        p0.0 write a1 =1
        p0.0 uffd-open u0
        m uffd-register u0 a0 missing
        m uffd-register u0 a1 wp
        m uffd-wp u0 a1
        p0.0 read a0                    -> blocked fault
        p0.1 write a1 =2                -> blocked fault
        m uffd-unregister u0 a0+2       -> done; 6: 0
        m uffd-read u0 u1               -> fault write,wp a1
        m uffd-wake u0 a1               -> done; 7: done
    """,
    "uffd-close": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.0 uffd-open u0
        m uffd-register u0 a0+2 missing,wp
        m uffd-wp u0 a0+2
        p0.1 write a0 =2                -> blocked fault
        p0.0 read a1                    -> blocked fault
        m uffd-close u0                 -> done; 6: 0; 5: done
        ? p0 a0                         2 present exclusive
        ? p0 a0 vma                     r w
    """,
    "missing faults": """
        p0.0 mmap a0+4 rw
        p0.0 uffd-open u0
        m uffd-register u0 a0+4 missing
        p0.0 read a0                    -> blocked fault
        p0.1 write a1 =2                -> blocked fault
        m uffd-read u0 u1               -> fault a0
        m uffd-read u0 u1               -> fault write a1
        m uffd-read u0 u1               -> EAGAIN
        m uffd-copy u0 a0 =9            -> done 1; 3: 9
        ? p0 a0                         9 present exclusive
        m uffd-zeropage u0 a1           -> done 1; 4: done
        ? p0 a1                         2 present exclusive
        p0.2 write a0 =1                -> done
        p0.2 read a2                    -> blocked fault
        m uffd-copy u0 a2 =1            -> done 1; 11: 1
        m uffd-read u0 u1               -> EAGAIN
    """,
    "missing fault on memory that may not be written": """
        p0.0 mmap a0 r
        p0.0 uffd-open u0
        m uffd-register u0 a0 missing
        p0.0 write a0 =1                -> SIGSEGV
        p0.0 read a0                    -> blocked fault
        m uffd-copy u0 a0 =4            -> done 1; 4: 4
        p0.0 mprotect a0 none
        p0.0 read a0                    -> SIGSEGV
    """,
    "uffd-copy": """
        p0.0 mmap a0+4 rw
        p0.0 uffd-open u0
        m uffd-copy u0 a0 =1            -> ENOENT -2
        m uffd-register u0 a0+3 missing
        m uffd-copy u0 a0 =1 wp         -> EINVAL -22
        m uffd-copy u0 a2+2 =1          -> ENOENT -2
        m uffd-copy u0 a8 =1            -> ENOENT -2
        p0.0 uffd-open u1
        m uffd-copy u1 a1 =7            -> done 1
        m uffd-copy u0 a1+2 =1          -> EEXIST -17
        m uffd-copy u0 a0+3 =1          -> EAGAIN 1
        ? p0 a0                         1 present exclusive
        ? p0 a2                         0
        ? p0 anon                       2
    """,
    "uffd-copy with write protection": """
        p0.0 mmap a0+2 rw
        p0.0 uffd-open u0
        m uffd-register u0 a0+2 missing,wp
        p0.0 write a0 =3                -> blocked fault
        m uffd-copy u0 a0 =1 wp         -> done 1
        ? p0 a0                         1 present wp exclusive
        m uffd-read u0 u1               -> fault write,wp a0
        m uffd-resolve u0 a0            -> done; 3: done
        p0.0 read a0                    -> 3
    """,
    "dontwake and uffd-wake": """
        p0.0 mmap a0+3 rw
        p0.0 write a2 =1
        p0.0 uffd-open u0
        m uffd-register u0 a0+3 missing,wp
        m uffd-wp u0 a2
        p0.0 read a0                    -> blocked fault
        p0.1 read a1                    -> blocked fault
        p0.2 write a2 =2                -> blocked fault
        m uffd-copy u0 a0 =1 dontwake   -> done 1
        m uffd-zeropage u0 a1 dontwake  -> done 1
        m uffd-resolve u0 a2 dontwake   -> done
        m uffd-wake u0 a1+2             -> done; 6: 0; 7: done
        m uffd-wake u0 a0               -> done; 5: 1
    """,
    "a task woken too early stops again": """
        p0.0 mmap a0 rw
        p0.0 uffd-open u0
        m uffd-register u0 a0 missing
        p0.0 read a0                    -> blocked fault
        m uffd-read u0 u1               -> fault a0
        m uffd-read u0 u1               -> EAGAIN
        m uffd-wake u0 a0               -> done
        m uffd-read u0 u1               -> fault a0
    """,
    "a task woken after its memory is gone": """
        p0.0 mmap a0 rw
        p0.0 uffd-open u0
        m uffd-register u0 a0 missing
        p0.0 read a0                    -> blocked fault
        p0.1 munmap a0                  -> done
        m uffd-wake u0 a0               -> done; 3: SIGSEGV
    """,
    "write protection": """
        p0.0 mmap a0+3 rw
        p0.0 write a0 =1
        p0.0 read a1
        p0.0 uffd-open u0
        m uffd-register u0 a0+3 wp
        m uffd-wp u0 a0+3               -> done
        ? p0 a0                         1 present wp exclusive
        ? p0 a1                         0 present wp
        ? p0 a2                         0
        p0.0 read a0                    -> 1
        p0.0 write a2 =1                -> done
        p0.0 write a0 =2                -> blocked fault
        p0.1 write a1 =2                -> blocked fault
        m uffd-resolve u0 a0+2          -> done; 8: done; 9: done
        ? p0 a0                         2 present exclusive
        ? p0 a1                         2 present exclusive
        p0.0 write a0 =3                -> done
    """,
    "write protection of a shared page": """
        p0.0 mmap a0 rw
        p0.0 write a0 =1
        p0.0 fork p1
        p0.0 uffd-open u0
        m uffd-register u0 a0 wp
        m uffd-wp u0 a0
        m uffd-resolve u0 a0
        p0.0 write a0 =2                -> done
        p1.0 read a0                    -> 1
    """,
    "write protection outlives mprotect": """
        p0.0 mmap a0 rw
        p0.0 write a0 =1
        p0.0 uffd-open u0
        m uffd-register u0 a0 wp
        m uffd-wp u0 a0
        p0.0 mprotect a0 r
        p0.0 write a0 =2                -> SIGSEGV
        p0.0 mprotect a0 rw
        ? p0 a0                         1 present wp exclusive
        p0.0 write a0 =2                -> blocked fault
    """,
    "write protection of missing pages": """
        p0.0 mmap a0+2 rw
        p0.0 uffd-open u0 wp-unpopulated
        m uffd-register u0 a0+2 wp
        m uffd-wp u0 a0+2               -> done
        p0.0 read a0                    -> 0
        ? p0 a0                         0 present wp
        p0.0 write a1 =2                -> blocked fault
        m uffd-read u0 u1               -> fault write,wp a1
        m uffd-resolve u0 a1            -> done; 5: done
    """,
    "write protection of missing pages that are registered": """
        p0.0 mmap a0+2 rw
        p0.0 uffd-open u0 wp-unpopulated
        m uffd-register u0 a0+2 missing,wp
        m uffd-wp u0 a0+2
        p0.0 write a0 =2                -> blocked fault
        m uffd-read u0 u1               -> fault write a0
        m uffd-copy u0 a0 =1            -> done 1; 4: done
        ? p0 a0                         2 present exclusive
    """,
    "uffd-wp outside of what is registered": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.0 uffd-open u0
        m uffd-wp u0 a0                 -> ENOENT
        m uffd-wp u0 a9                 -> ENOENT
        m uffd-register u0 a0 wp
        m uffd-wp u0 a0+2               -> ENOENT
        ? p0 a0                         1 present wp exclusive
        p0.0 write a0 =2                -> blocked fault
        m uffd-resolve u0 a0+2          -> ENOENT
        ? p0 a0                         1 present exclusive
        m uffd-wake u0 a0               -> done; 7: done
    """,
    "async write protection": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.0 uffd-open u0 wp-async
        m uffd-register u0 a0+2 wp
        m uffd-wp u0 a0+2
        p0.0 write a0 =2                -> done
        ? p0 a0                         2 present exclusive
        p0.0 write a1 =2                -> done
        ? p0 a1                         2 present exclusive
        m uffd-read u0 u1               -> EAGAIN
    """,
    "sigbus": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.0 uffd-open u0 sigbus
        m uffd-register u0 a0+2 missing,wp
        m uffd-wp u0 a0
        p0.0 write a0 =2                -> SIGBUS
        p0.0 read a1                    -> SIGBUS
        p0.0 read a0                    -> 1
        m uffd-read u0 u1               -> EAGAIN
    """,
    "tasks and processes do not mix": """
        p0.0 mmap a0 rw
        p0.0 write a0 =1
        p0.0 uffd-open u0
        m uffd-register u0 a0 wp
        m uffd-wp u0 a0
        p0.1 write a0 =1                -> blocked fault
        p0.1 exit                       -> skipped busy
        p0.2 read a0                    -> 1
        p0.2 fork p1                    -> done
        p1.1 write a0 =5                -> done
        p0.0 read a0                    -> 1
    """,
    "advice about fork": """
        p0.0 mmap a0+4 rw
        p0.0 write a0 =1
        p0.0 write a1 =2
        p0.0 write a2 =3
        p0.0 madvise a0 dontfork        -> done
        ? p0 a0 vma                     r w dontfork
        p0.0 madvise a1+2 wipeonfork    -> done
        ? p0 a1 vma                     r w wipeonfork
        p0.0 madvise a2 keeponfork      -> done
        p0.0 madvise a8 dofork          -> ENOMEM
        p0.0 fork p1                    -> done
        ? p1 a0 vma                     unmapped
        ? p1 a1 vma                     r w wipeonfork
        ? p1 a1                         0
        ? p1 a2                         3 present
        ? p1 anon                       1
        ? p0 a0                         1 present exclusive
        ? p0 a1                         2 present exclusive
        p1.0 read a0                    -> SIGSEGV
        p1.0 read a1                    -> 0
        p1.0 write a1 =4                -> done
        p1.0 fork p2                    -> done
        ? p2 a1                         0
        p0.0 read a1                    -> 2
        p0.0 madvise a0 dofork          -> done
        ? p0 a0 vma                     r w
        p0.0 fork p3
        p3.0 read a0                    -> 1
    """,
    "advice about fork of a registered range": """
        p0.0 mmap a0+3 rw
        p0.0 write a0 =1
        p0.0 write a1 =1
        p0.0 uffd-open u0 event-fork
        p0.0 uffd-open u1 event-fork
        m uffd-register u0 a0 wp
        m uffd-register u1 a1+2 wp
        m uffd-wp u1 a1
        p0.0 madvise a0 dontfork
        p0.0 madvise a1 wipeonfork
        p0.0 fork p1                    -> blocked event
        m uffd-read u0 u2               -> EAGAIN
        m uffd-read u1 u2               -> fork u2; 10: done
        ? p1 a0 vma                     unmapped
        ? p1 a1                         0
        ? p1 a1 vma                     r w wp wipeonfork
        ? p0 a1                         1 present wp exclusive
    """,
    "mremap": """
        p0.0 mmap a0+3 rw
        p0.0 write a0 =1
        p0.0 read a1
        p0.0 write a2 =3
        p0.0 mprotect a0+2 r
        p0.0 mmap a15+3 rw
        p0.0 write a16 =9
        p0.0 mremap a0+2 a15+2          -> done
        ? p0 a0 vma                     unmapped
        ? p0 a15 vma                    r
        ? p0 a15                        1 present exclusive
        ? p0 a16                        0 present
        ? p0 a17 vma                    r w
        ? p0 a2                         3 present exclusive
        ? p0 anon                       2
        p0.0 read a0                    -> SIGSEGV
        p0.0 write a15 =2               -> SIGSEGV
        p0.0 read a15                   -> 1
        p0.0 mremap a2 a0               -> done
        p0.0 write a0 =4                -> done
        p0.0 read a0                    -> 4
        p0.0 mremap a8 a0               -> EFAULT
        ? p0 a0                         4 present exclusive
        p0.0 mremap a0 a0               -> EINVAL
        p0.0 mremap a15+2 a16           -> EINVAL
        p0.0 mremap a15+2 a8 dontunmap  -> EINVAL
    """,
    "mremap with another size": """
        p0.0 mmap a0+3 rw
        p0.0 write a0 =1
        p0.0 write a2 =3
        p0.0 mremap a0+3 a8+2           -> done
        ? p0 a2 vma                     unmapped
        ? p0 a8                         1 present exclusive
        ? p0 a10 vma                    unmapped
        ? p0 anon                       1
        p0.0 mremap a8+2 a20+4          -> done
        ? p0 a23 vma                    r w
        p0.0 read a20                   -> 1
        p0.0 write a23 =5               -> done
        p0.0 mremap a22 a30             -> done
        ? p0 a21 vma                    r w
        ? p0 a22 vma                    unmapped
        ? p0 a23                        5 present exclusive
    """,
    "mremap that leaves the mapping": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.0 madvise a0+2 mergeable
        p0.0 mremap a0+2 a8+2 dontunmap -> done
        ? p0 a0 vma                     r w mergeable
        ? p0 a0                         0
        ? p0 a8 vma                     r w mergeable
        ? p0 a8                         1 present exclusive
        ? p0 anon                       1
        p0.0 write a0 =2                -> done
        p0.0 read a8                    -> 1
        p0.0 read a0                    -> 2
    """,
    "mremap of a shared page": """
        p0.0 mmap a0 rw
        p0.0 write a0 =1
        p0.0 fork p1
        p0.0 mremap a0 a5
        ? p0 a5                         1 present
        p0.0 write a5 =2                -> done
        p1.0 read a0                    -> 1
        ? p1 a0                         1 present exclusive
        p1.0 mremap a0 a6
        p1.0 fork p2
        p2.0 read a6                    -> 1
    """,
    "mremap over a hole": """
        p0.0 mmap a0 rw
        p0.0 mmap a2 rw
        p0.0 write a0 =1
        p0.0 mremap a1+2 a8+2           -> EFAULT
        ? p0 a2 vma                     r w
        p0.0 mremap a0+3 a8+4           -> EFAULT
        ? p0 a0                         1 present exclusive
    """,
    "mremap ends a registration": """
        p0.0 mmap a0+4 rw
        p0.0 write a0 =1
        p0.0 read a1
        p0.0 uffd-open u0 wp-unpopulated
        m uffd-register u0 a0+3 wp
        m uffd-wp u0 a0+3
        p0.0 mremap a0+3 a8+3           -> done
        ? p0 a8 vma                     r w
        ? p0 a8                         1 present exclusive
        ? p0 a9                         0 present
        ? p0 a10                        0
        p0.0 write a8 =2                -> done
        p0.0 write a9 =2                -> done
        p0.0 write a10 =2               -> done
        m uffd-register u0 a8+3 wp
        p0.0 write a8 =3                -> done
        p0.0 mmap a0+4 rw
        p0.0 write a0 =1
        m uffd-register u0 a0+3 missing,wp
        m uffd-wp u0 a0
        p0.0 mremap a0+3 a16+3 dontunmap -> done
        ? p0 a16 vma                    r w
        ? p0 a16                        1 present exclusive
        ? p0 a0 vma                     r w missing wp
        p0.1 read a0                    -> blocked fault
        m uffd-read u0 u1               -> fault a0
        m uffd-copy u0 a0 =7            -> done 1; 17: 7
    """,
    "mremap with its event": """
        p0.0 mmap a0+4 rw
        p0.0 write a0 =1
        p0.0 uffd-open u0 event-remap
        m uffd-register u0 a0+3 missing,wp
        m uffd-wp u0 a0
        p0.0 mremap a0+2 a14+3          -> blocked event
        ? p0 a14                        1 present wp exclusive
        ? p0 a16 vma                    r w missing wp
        ? p0 a0 vma                     unmapped
        p0.0 read a2                    -> skipped busy
        m uffd-copy u0 a2 =1            -> EAGAIN -11
        m uffd-wp u0 a14                -> EAGAIN
        m uffd-read u0 u1               -> remap a0+2 to a14; 5: done
        p0.0 write a14 =2               -> blocked fault
        p0.1 read a16                   -> blocked fault
        m uffd-read u0 u1               -> fault write,wp a14
        m uffd-resolve u0 a14           -> done; 10: done
        m uffd-zeropage u0 a16          -> done 1; 11: 0
        p0.0 mremap a14+3 a8+3 dontunmap -> blocked event
        ? p0 a8                         2 present exclusive
        ? p0 a14 vma                    r w missing wp
        ? p0 a8 vma                     r w missing wp
        m uffd-close u0                 -> done; 15: done
        ? p0 a14 vma                    r w
    """,
    "unmap events": """
        p0.0 mmap a0+6 rw
        p0.0 uffd-open u0 event-unmap
        p0.0 uffd-open u1 event-unmap,event-remap
        m uffd-register u0 a0+2 wp
        m uffd-register u1 a2+2 wp
        p0.0 munmap a1+2                -> blocked event
        ? p0 a1 vma                     unmapped
        m uffd-wp u1 a3                 -> EAGAIN
        m uffd-read u1 u2               -> EAGAIN
        m uffd-read u0 u2               -> unmap a1+2
        m uffd-read u1 u2               -> unmap a1+2; 5: done
        p0.0 mmap a0 r                  -> blocked event
        ? p0 a0 vma                     r
        m uffd-read u0 u2               -> unmap a0+1; 10: done
        m uffd-register u0 a4 wp
        p0.0 mremap a3 a4               -> blocked event
        m uffd-read u0 u2               -> unmap a4+1
        m uffd-read u1 u2               -> remap a3+1 to a4
        m uffd-read u1 u2               -> unmap a3+1; 13: done
        ? p0 a4 vma                     r w wp
        p0.0 munmap a8                  -> done
        p0.0 mremap-resize a4+2 =1      -> done
        p0.0 munmap a4                  -> blocked event
        p0.1 exit                       -> done; 19: killed
    """,
    "remove events": """
        p0.0 mmap a0+4 rw
        p0.0 write a0 =1
        p0.0 write a1 =2
        p0.0 write a3 =3
        p0.0 uffd-open u0 event-remove
        m uffd-register u0 a0+2 missing
        p0.0 madvise a0+4 dontneed      -> blocked event
        ? p0 a0                         1 present exclusive
        p0.1 read a0                    -> 1
        m uffd-copy u0 a0 =1            -> EAGAIN -11
        m uffd-read u0 u1               -> remove a0+2; 6: done
        ? p0 a0                         0
        ? p0 a3                         0
        p0.0 read a0                    -> blocked fault
        p0.1 madvise a1+6 dontneed      -> blocked event
        m uffd-close u0                 -> done; 10: 0; 11: ENOMEM
        p0.2 madvise a3 mergeable       -> done
    """,
    "remove events of a range that is unmapped meanwhile": """
        p0.0 mmap a0+2 rw
        p0.0 write a1 =2
        p0.0 uffd-open u0 event-remove
        m uffd-register u0 a0+2 missing
        p0.0 madvise a0+2 dontneed      -> blocked event
        p0.1 munmap a0                  -> done
        m uffd-read u0 u1               -> remove a0+2; 4: ENOMEM
        ? p0 a1                         2 present exclusive
    """,
    "mremap-resize": """
        p0.0 mmap a0+3 rw
        p0.0 write a0 =1
        p0.0 write a2 =3
        p0.0 mremap-resize a0+3 =1      -> done
        ? p0 a1 vma                     unmapped
        ? p0 anon                       1
        p0.0 mremap-resize a0 =3        -> done
        ? p0 a2 vma                     r w
        ? p0 a2                         0
        p0.0 read a0                    -> 1
        p0.0 mremap-resize a0 =2        -> ENOMEM
        p0.0 mmap a4 rw
        p0.0 mremap-resize a0+3 =5      -> ENOMEM
        p0.0 mremap-resize a0+4 =5      -> EFAULT
        p0.0 mremap-resize a8+2 =1      -> EFAULT
        p0.0 mremap-resize a0+2 =2      -> done
        p0.0 mmap a30 rw
        p0.0 mremap-resize a30 =9       -> done
        ? p0 a31 vma                    r w
    """,
    "mremap-resize of a registered range": """
        p0.0 mmap a0+2 rw
        p0.0 uffd-open u0
        m uffd-register u0 a0+2 missing
        p0.0 mremap-resize a0+2 =3      -> done
        ? p0 a2 vma                     r w missing
        p0.0 read a2                    -> blocked fault
        m uffd-zeropage u0 a2           -> done 1; 4: 0
    """,
    "guard pages": """
        p0.0 mmap a0+4 rw
        p0.0 write a0 =1
        p0.0 write a1 =2
        p0.0 guard-install a1+2         -> done
        ? p0 anon                       1
        p0.0 read a0                    -> 1
        p0.0 read a1                    -> SIGSEGV
        p0.0 write a2 =1                -> SIGSEGV
        p0.0 write a3 =1                -> done
        p0.0 madvise a0+4 dontneed      -> done
        p0.0 read a1                    -> SIGSEGV
        p0.0 fork p1
        p1.0 write a1 =1                -> SIGSEGV
        p1.0 guard-remove a0+4          -> done
        ? p1 a1                         0
        p1.0 write a1 =1                -> done
        p0.0 mremap a1+2 a8+2
        p0.0 read a8                    -> SIGSEGV
        p0.0 guard-install a8+3         -> ENOMEM
        p0.0 guard-remove a8+3          -> ENOMEM
        p0.0 read a8                    -> 0
    """,
    "guard pages of a registered range": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.0 uffd-open u0
        m uffd-register u0 a0+2 missing,wp
        m uffd-wp u0 a0
        p0.0 guard-install a0
        p0.0 write a0 =2                -> SIGSEGV
        m uffd-wp u0 a0                 -> done
        m uffd-resolve u0 a0            -> done
        p0.0 read a0                    -> SIGSEGV
        m uffd-zeropage u0 a0           -> EEXIST -17
        p0.0 guard-remove a0
        p0.0 write a0 =2                -> blocked fault
    """,
    # --- pins, references, access from outside, migration ---
    "a pin follows its page": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.0 pin k0 a0+2 write,longterm -> done 2
        ? p0 a0                         1 present exclusive
        ? p0 a1                         0 present exclusive
        ? p0 anon                       2
        p0.0 pin k0 a0 write,longterm   -> skipped handle_used
        p0.0 write a0 =2                -> done
        m pin-read k0 a0                -> 2
        m pin-write k0 a1 =7            -> done
        p0.0 read a1                    -> 7
        m pin-read k0 a2                -> skipped no_handle
        m unpin k0                      -> done
        m unpin k0                      -> skipped no_handle
        m pin-read k0 a0                -> skipped no_handle
        p0.0 read a0                    -> 2
    """,
    "a pin of nothing": """
        p0.0 mmap a0 r
        p0.0 pin k0 a0 write,longterm   -> EFAULT
        p0.0 pin k0 a1+2 write,longterm -> EFAULT
        m pin-read k0 a0                -> skipped no_handle
        m pin-write k0 a0 =1            -> skipped no_handle
    """,
    "fork copies a pinned page": """
        p0.0 mmap a0 rw
        p0.0 write a0 =1
        p0.0 pin k0 a0 write,longterm   -> done 1
        p0.0 fork p1
        ? p0 a0                         1 present exclusive
        ? p1 a0                         1 present exclusive
        p0.0 write a0 =2
        m pin-read k0 a0                -> 2
        p1.0 read a0                    -> 1
        m pin-write k0 a0 =3
        p0.0 read a0                    -> 3
        p1.0 read a0                    -> 1
        m unpin k0 dirty                -> done
    """,
    "a pin outlives the mapping": """
        p0.0 mmap a0 rw
        p0.0 write a0 =1
        p0.0 pin k0 a0 write,longterm   -> done 1
        p0.0 munmap a0
        p0.0 mmap a0 rw
        p0.0 write a0 =9
        m pin-read k0 a0                -> 1
        m pin-write k0 a0 =3
        p0.0 read a0                    -> 9
        m pin-read k0 a0                -> 3
    """,
    "a pin outlives the process": """
        p0.0 mmap a1 rw
        p0.0 write a1 =2
        p0.0 pin k0 a1 write,longterm   -> done 1
        p0.0 fork p1
        p0.0 exit
        m pin-read k0 a1                -> 2
        m pin-write k0 a1 =8
        p1.0 read a1                    -> 2
        m pin-read k0 a1                -> 8
    """,
    "a reference by the child that lets go": """
        p0.0 mmap a0 rw
        p0.0 write a0 =1
        p0.0 fork p1
        p1.0 ref k0 a0                  -> done 1
        p1.0 munmap a0
        p0.0 write a0 =2
        m pin-read k0 a0                -> 1
        m pin-write k0 a0 =1            -> skipped no_handle
        m unpin k0                      -> done
    """,
    "a reference by the parent that lets go": """
        p0.0 mmap a0 rw
        p0.0 write a0 =1
        p0.0 ref k0 a0                  -> done 1
        p0.0 ref k0 a0                  -> skipped handle_used
        p0.0 fork p1
        p0.0 madvise a0 dontneed
        p1.0 write a0 =2
        m pin-read k0 a0                -> 1
        p0.0 exit
        m pin-read k0 a0                -> 1
    """,
    "references to what can be had": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =3
        p0.0 ref k0 a0+4                -> done 2
        ? p0 a1                         0 present
        p0.0 ref k1 a2                  -> EFAULT
        m pin-read k0 a0                -> 3
        m pin-read k0 a1                -> 0
        m pin-read k0 a2                -> skipped no_handle
    """,
    "a reference waits for a missing page": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.0 uffd-open u0
        m uffd-register u0 a0+2 missing
        p0.0 ref k0 a0+2                -> blocked fault
        m pin-read k0 a0                -> skipped no_handle
        p0.1 ref k0 a0                  -> skipped handle_used
        m uffd-copy u0 a1 =5            -> done 1; 4: done 2
        m pin-read k0 a1                -> 5
        p0.1 populate a0+2 read         -> done
        p0.0 madvise a0+2 dontneed
        p0.1 ref k1 a0                  -> blocked fault
        p0.0 exit                       -> done; 11: killed
        m unpin k1                      -> skipped no_handle
    """,
    "access by another process": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.0 fork p1
        p1.0 process-read p0 a0         -> 1
        ? p0 a0                         1 present exclusive
        ? p1 a0                         1 present exclusive
        p1.0 process-read p0 a1         -> 0
        ? p0 a1                         0 present
        p1.0 process-write p0 a1 =6     -> done
        p0.0 read a1                    -> 6
        p1.0 read a1                    -> 0
        p0.0 mprotect a0 r
        p1.0 process-write p0 a0 =2     -> EFAULT
        p1.0 process-read p0 a0         -> 1
        p0.0 mprotect a0 none
        p1.0 process-read p0 a0         -> EFAULT
        p1.0 process-read p0 a2         -> EFAULT
        p1.0 process-read p2 a0         -> skipped no_process
        p1.0 process-write p1 a0 =5     -> done
        p1.0 read a0                    -> 5
    """,
    "access by another process waits for a userfaultfd": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.0 fork p1
        p0.0 uffd-open u0
        m uffd-register u0 a0+2 missing,wp
        p1.0 process-read p0 a1         -> blocked fault
        m uffd-read u0 u1               -> fault a1
        p0.0 exit                       -> skipped busy
        m uffd-zeropage u0 a1           -> done 1; 5: 0
        m uffd-wp u0 a0
        p1.0 process-write p0 a0 =3     -> blocked fault
        m uffd-read u0 u1               -> fault write,wp a0
        m uffd-resolve u0 a0            -> done; 10: done
        p0.0 read a0                    -> 3
        m uffd-wp u0 a0
        p1.0 process-write p0 a0 =4     -> blocked fault
        p1.1 exit                       -> done; 15: killed
        p0.0 read a0                    -> 3
    """,
    "access by a debugger": """
        p0.0 mmap a0+2 r
        m mem-read p0 a0                -> 0
        ? p0 a0                         0 present
        m mem-write p0 a0 =1            -> done
        ? p0 a0                         1 present exclusive
        p0.0 read a0                    -> 1
        p0.0 write a0 =2                -> SIGSEGV
        p0.0 mprotect a0 none
        m mem-read p0 a0                -> 1
        m mem-write p0 a0 =3            -> done
        m mem-write p0 a1 =4            -> done
        m mem-read p0 a2                -> EIO
        m mem-write p0 a2 =1            -> EIO
        p0.0 mprotect a0 rw
        p0.0 read a0                    -> 3
        p0.0 fork p1
        m mem-write p1 a0 =5            -> done
        p0.0 read a0                    -> 3
        m mem-read p2 a0                -> skipped no_process
        m mem-write p2 a0 =1            -> skipped no_process
    """,
    "a debugger does not wait for a userfaultfd": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.0 uffd-open u0
        m uffd-register u0 a0+2 missing,wp
        m uffd-wp u0 a0
        m mem-read p0 a0                -> 1
        m mem-write p0 a0 =2            -> EIO
        m mem-read p0 a1                -> EIO
        m uffd-read u0 u1               -> EAGAIN
    """,
    "populate": """
        p0.0 mmap a0+3 rw
        p0.0 populate a0 read           -> done
        ? p0 a0                         0 present
        p0.0 populate a0+3 write        -> done
        ? p0 a0                         0 present exclusive
        ? p0 anon                       3
        p0.0 write a0 =1
        p0.0 fork p1
        p1.0 populate a0+2 write        -> done
        ? p0 a0                         1 present exclusive
        ? p1 a0                         1 present exclusive
        ? p0 a2                         0 present
        p0.0 mprotect a1 r
        p0.0 populate a0+3 write        -> EINVAL
        p0.0 populate a0+3 read         -> done
        p0.0 mprotect a1 none
        p0.0 populate a1 read           -> EINVAL
        p0.0 populate a2+2 write        -> ENOMEM
    """,
    "populate meets a userfaultfd": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.0 uffd-open u0
        p0.0 uffd-open u1 sigbus
        m uffd-register u0 a0 missing,wp
        m uffd-register u1 a1 missing
        m uffd-wp u0 a0
        p0.0 populate a0+2 write        -> blocked fault
        m uffd-resolve u0 a0            -> done; 7: EFAULT
    """,
    "pages migrate": """
        p0.0 mmap a0+3 rw
        p0.0 write a0 =1
        p0.0 read a1
        p0.0 fork p1
        p0.0 write a2 =2
        m migrate p0 a0+3
        ? p0 a0                         1 present
        ? p1 a0                         1 present
        ? p0 a2                         2 present exclusive
        p1.0 write a0 =3
        m migrate p0 a0+3
        p0.0 read a0                    -> 1
        p0.0 read a2                    -> 2
        m migrate p2 a0                 -> skipped no_process
    """,
    "a pin for reading follows too": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.0 fork p1
        p0.0 pin k0 a0+2 longterm       -> done 2
        ? p0 a0                         1 present exclusive
        ? p1 a0                         1 present exclusive
        ? p0 a1                         0 present exclusive
        p0.0 write a0 =2
        p0.0 write a1 =3
        m pin-read k0 a0                -> 2
        m pin-read k0 a1                -> 3
        m pin-write k0 a0 =1            -> skipped no_handle
    """,
    "a pin by force": """
        p0.0 mmap a0 r
        p0.0 pin k0 a0 write            -> EFAULT
        p0.0 pin k0 a0 write,force,fast -> done 1
        ? p0 a0                         0 present exclusive
        m pin-write k0 a0 =5
        p0.0 read a0                    -> 5
        p0.0 write a0 =1                -> SIGSEGV
    """,
    "a pin under mmap_lock does not wait": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =1
        p0.0 uffd-open u0
        m uffd-register u0 a0+2 missing,wp
        m uffd-wp u0 a0
        p0.0 pin k0 a0 write,locked     -> EFAULT
        p0.0 pin k0 a0+2 locked         -> done 1
        m uffd-read u0 u1               -> EAGAIN
        p0.0 pin k1 a0+2 write          -> blocked fault
        m uffd-resolve u0 a0            -> done
        m uffd-copy u0 a1 =7            -> done 1; 8: done 2
        m pin-read k1 a1                -> 7
    """,
    "shared memory": """
        p0.0 mmap-shared a1+2 rw        -> done
        ? p0 a1 vma                     r w
        ? p0 a1                         0
        p0.0 write a1 =5                -> done
        ? p0 a1                         5 present file exclusive
        ? p0 anon                       0
        ? p0 files                      1
        p0.0 fork p1                    -> done
        p1.0 write a1 =6                -> done
        ? p0 a1                         6 present file
        ? p1 a1                         6 present file
        p0.0 read a1                    -> 6
        p0.0 write a2 =7                -> done
        p1.0 read a2                    -> 7
        p0.0 exit                       -> done
        ? p1 a1                         6 present file exclusive
    """,
    "a file, shared and private": """
        p0.0 mmap-file a0+2 rw f0 @0 shared     -> skipped no_handle
        p0.0 file-open f0 memfd @2              -> done
        p0.0 file-open f0 memfd @2              -> skipped handle_used
        p0.0 mmap-file a0+2 rw f0 @0 shared     -> done
        p0.0 mmap-file a20+3 rw f0 @0 private   -> done
        p0.0 write a0 =1                        -> done
        p0.0 read a20                           -> 1
        ? p0 a20                                1 present file
        p0.0 write a20 =2                       -> done
        ? p0 a20                                2 present exclusive
        ? p0 a0                                 1 present file exclusive
        p0.0 file-read f0 @0                    -> 1
        p0.0 file-write f0 @0 =3                -> done
        ? p0 a0                                 3 present file exclusive
        ? p0 a20                                2 present exclusive
        p0.0 madvise a20 dontneed               -> done
        p0.0 read a20                           -> 3
        p0.0 read a22                           -> SIGBUS
        p0.0 write a22 =1                       -> SIGBUS
        p0.0 file-write f0 @2 =4                -> done
        p0.0 read a22                           -> 4
        p0.0 file-read f0 @3                    -> end
        p0.0 file-close f0                      -> done
        p0.0 file-read f0 @0                    -> skipped no_handle
        p0.0 read a22                           -> 4
    """,
    "a file's end": """
        p0.0 file-open f0 memfd @4
        p0.0 mmap-file a0+4 rw f0 @0 shared
        p0.0 mmap-file a20+4 rw f0 @0 private
        p0.0 write a1 =1
        p0.0 write a2 =2
        p0.0 write a22 =3
        p0.0 file-truncate f0 @2                -> done
        ? p0 a1                                 1 present file exclusive
        ? p0 a2                                 0
        ? p0 a22                                0
        ? p0 anon                               0
        p0.0 read a2                            -> SIGBUS
        p0.0 file-truncate f0 @4                -> done
        p0.0 read a22                           -> 0
        p0.0 read a2                            -> 0
    """,
    "holes": """
        p0.0 file-open f0 memfd @4
        p0.0 mmap-file a0+4 rw f0 @0 shared
        p0.0 mmap-file a20+4 rw f0 @0 private
        p0.0 write a0 =1
        p0.0 write a1 =1
        p0.0 write a20 =2
        p0.0 read a21                           -> 1
        p0.0 file-allocate f0 @0 @2 punch-hole  -> done
        ? p0 a0                                 0
        ? p0 a20                                2 present exclusive
        ? p0 a21                                0
        p0.0 file-read f0 @0                    -> 0
        p0.0 read a21                           -> 0
        p0.0 file-allocate f0 @2 @2 punch-hole  -> EINVAL
        p0.0 file-allocate f0 @3 @6 keep-size   -> done
        p0.0 file-read f0 @4                    -> end
        p0.0 file-allocate f0 @3 @6 extend      -> done
        p0.0 file-read f0 @5                    -> 0
        p0.0 write a3 =4
        p0.0 madvise a3 remove                  -> done
        ? p0 a3                                 0
        p0.0 read a3                            -> 0
        p0.0 madvise a20 remove                 -> EACCES
        p0.0 mmap a8 rw
        p0.0 madvise a8 remove                  -> EINVAL
    """,
    "a file with a store": """
        p0.0 file-open f0 tmpfile @3
        p0.0 mmap-file a0+3 rw f0 @0 shared
        p0.0 write a1 =1                        -> done
        ? p0 a1                                 1 present file exclusive
        p0.0 file-sync f0                       -> done
        p0.0 write a1 =2                        -> done
        p0.0 munmap a0+3
        p0.0 file-drop f0                       -> done
        p0.0 file-read f0 @1                    -> 2
        p0.0 mmap-file a0+3 rw f0 @1 private
        p0.0 write a0 =3
        p0.0 file-read f0 @1                    -> 2
        p0.0 uffd-open u0
        m uffd-register u0 a0+3 missing         -> EINVAL
        m uffd-register u0 a0+3 wp              -> EINVAL
        m uffd-unregister u0 a0+3               -> EINVAL
        p0.0 uffd-open u1 wp-async
        m uffd-register u1 a0+3 wp              -> done
        m uffd-copy u1 a2 =1                    -> EINVAL -22
        m uffd-continue u1 a2                   -> EINVAL -22
        m uffd-wp u1 a0                         -> done
        ? p0 a0                                 3 present wp exclusive
        p0.0 write a0 =4                        -> done
        ? p0 a0                                 4 present exclusive
    """,
    "files, and what others do with a mapping": """
        p0.0 file-open f0 memfd @4
        p0.0 mmap-file a0+2 r f0 @0 shared
        p0.0 mmap-file a4+2 r f0 @0 private
        m mem-write p0 a0 =1            -> EIO
        m mem-write p0 a4 =2            -> done
        p0.0 read a4                    -> 2
        p0.0 read a0                    -> 0
        p0.0 madvise a4+2 wipeonfork    -> EINVAL
        p0.0 madvise a0+2 wipeonfork    -> EINVAL
        p0.0 mremap a0+2 a8+3           -> done
        ? p0 a8                         0 present file exclusive
        p0.0 mprotect a8+3 rw
        p0.0 write a9 =3                -> done
        p0.0 write a10 =4               -> done
        p0.0 file-read f0 @2            -> 4
        p0.0 populate a4+2 read         -> done
        p0.0 read a5                    -> 3
        p0.0 madvise a4+2 free          -> EINVAL
        p0.0 madvise a8+3 dontfork      -> done
        p0.0 fork p1
        ? p1 a8 vma                     unmapped
        p1.0 read a5                    -> 3
    """,
    "pins of files": """
        p0.0 file-open f0 memfd @4
        p0.0 file-open f1 tmpfile @4
        p0.0 mmap-file a0+2 rw f0 @0 shared
        p0.0 mmap-file a4+2 rw f1 @0 shared
        p0.0 mmap-file a8+2 rw f1 @0 private
        p0.0 pin k0 a0 write,longterm   -> done 1
        m pin-write k0 a0 =1
        p0.0 read a0                    -> 1
        p0.0 file-write f0 @0 =2
        m pin-read k0 a0                -> 2
        p0.0 pin k1 a4 write,longterm   -> EFAULT
        p0.0 pin k1 a4 write            -> done 1
        p0.0 pin k2 a8 longterm         -> done 1
        ? p0 a8                         0 present exclusive
        p0.0 write a8 =5
        m pin-read k2 a8                -> 5
        p0.0 file-truncate f0 @0
        m pin-read k0 a0                -> 2
        m unpin k0
        m unpin k1
        m unpin k2
    """,
    "missing pages of shared memory": """
        p0.0 file-open f0 memfd @3
        p0.0 mmap-file a0+4 rw f0 @0 shared
        p0.0 uffd-open u0
        m uffd-register u0 a0+4 missing         -> done
        p0.0 write a0 =1                        -> blocked fault
        m uffd-read u0 u1                       -> fault write a0
        m uffd-copy u0 a0 =7                    -> done 1; 4: done
        ? p0 a0                                 1 present file exclusive
        p0.0 file-write f0 @1 =2
        p0.0 read a1                            -> 2
        m uffd-copy u0 a1 =3                    -> EEXIST -17
        m uffd-zeropage u0 a2+2                 -> EAGAIN 1
        ? p0 a2                                 0 present file exclusive
        p0.0 read a3                            -> SIGBUS
        m uffd-copy u0 a3 =3                    -> EFAULT -14
        p0.0 file-allocate f0 @0 @1 punch-hole
        p0.0 read a0                            -> blocked fault
    """,
    "minor faults": """
        p0.0 file-open f0 memfd @4
        p0.0 mmap-file a0+6 rw f0 @0 shared
        p0.0 mmap a8 rw
        p0.0 uffd-open u0
        m uffd-register u0 a8 minor             -> EINVAL
        m uffd-register u0 a0+6 wp,minor        -> done
        ? p0 a0 vma                             r w wp minor
        p0.0 file-write f0 @0 =1
        p0.0 file-write f0 @1 =2
        p0.0 read a0                            -> blocked fault
        p0.1 write a1 =3                        -> blocked fault
        m uffd-read u0 u1                       -> fault minor a0
        m uffd-read u0 u1                       -> fault write,minor a1
        m uffd-continue u0 a0+2                 -> done 2; 8: 1; 9: done
        ? p0 a0                                 1 present file exclusive
        m uffd-continue u0 a0                   -> EEXIST -17
        m uffd-continue u0 a2                   -> EFAULT -14
        m uffd-continue u0 a5                   -> EINVAL -22
        p0.0 write a2 =4                        -> done
        p0.0 madvise a0 dontneed
        m uffd-continue u0 a0 wp                -> done 1
        ? p0 a0                                 1 present file wp exclusive
        p0.0 write a0 =5                        -> blocked fault
        m uffd-resolve u0 a0                    -> done; 19: done
        m uffd-register u0 a8 missing           -> done
        m uffd-continue u0 a8                   -> EINVAL -22
        p0.0 file-open f1 memfd @4
        p0.0 mmap-file a10+2 rw f1 @0 shared
        m uffd-register u0 a10+2 missing,minor
        m uffd-continue u0 a10 wp               -> EINVAL -22
    """,
    "write protection of shared memory": """
        p0.0 file-open f0 memfd @4
        p0.0 mmap-file a0+4 rw f0 @0 shared
        p0.0 uffd-open u0
        m uffd-register u0 a0+4 wp              -> done
        p0.0 write a0 =1
        m uffd-wp u0 a0                         -> done
        ? p0 a0                                 1 present file wp exclusive
        p0.0 file-write f0 @0 =2
        p0.0 write a0 =3                        -> blocked fault
        m uffd-read u0 u1                       -> fault write,wp a0
        m uffd-resolve u0 a0                    -> done; 7: done
        p0.0 read a0                            -> 3
        p0.0 mprotect a0+4 r
        m uffd-wp u0 a0
        p0.0 mprotect a0+4 rw
        p0.0 write a0 =4                        -> blocked fault
    """,
}

CHOICES = {
    "who is killed as it frees pages of a file": """
        p0.0 file-open f0 memfd @4
        p0.0 mmap-file a0+2 rw f0 @0 shared
        p0.0 write a0 =1
        p0.0 write a1 =2
        p0.0 fork p1
        p0.0 uffd-open u0 event-remove
        m uffd-register u0 a0 missing
        p0.0 madvise a0+2 remove                -> blocked event
        p0.3 exit                               -> done; 7: killed
        p1.0 read a0                            -> 0
        p1.0 read a1                            -> 0
    """,
    "mremap of mappings of different types": """
        p0.0 mmap a0+2 rw
        p0.0 mmap a8+3 r
        p0.0 write a0 =1
        p0.0 write a1 =2
        p0.0 mprotect a1 r
        p0.0 mremap a0+2 a9+2
        p0.0 mmap a16+2 rw
        p0.0 mmap a17 r
        p0.0 mremap a16+2 a24+3
        p0.0 mmap a28 rw
        p0.0 mmap a29 rw
        p0.0 mremap-resize a28+2 =3
    """,
    "remove event of a mapping that is split meanwhile": """
        p0.0 mmap a0+3 rw
        p0.0 write a0 =1
        p0.0 write a1 =1
        p0.0 write a2 =1
        p0.0 uffd-open u0 event-remove
        m uffd-register u0 a0+3 missing
        p0.0 madvise a0+3 dontneed
        p0.1 mprotect a1 r
        m uffd-read u0 u1
    """,
    "a guard page is filled": """
        p0.0 mmap a0+2 rw
        p0.0 uffd-open u0
        m uffd-register u0 a0+2 missing
        p0.0 guard-install a1
        m uffd-copy u0 a0+2 =1
        m uffd-copy u0 a1 =1
        p0.0 read a1
    """,
    "the zero page over fork": """
        p0.0 mmap a0+2 rw
        p0.0 read a0
        p0.0 fork p1                    -> done
        p0.0 write a1 =1
        p0.0 fork p2                    -> done
        p1.0 read a0                    -> 0
        p2.0 read a0                    -> 0
    """,
    "messages": """
        p0.0 mmap a0+2 rw
        p0.0 uffd-open u0 event-fork
        m uffd-register u0 a0+2 missing
        p0.0 fork p1                    -> blocked event
        p0.1 read a0                    -> blocked fault
        p0.2 read a1                    -> blocked fault
        m uffd-read u0 u1
        m uffd-read u0 u2
        m uffd-read u0 u3
        m uffd-read u0 u4               -> EAGAIN
    """,
    "who is first": """
        p0.0 mmap a0 rw
        p0.0 uffd-open u0
        m uffd-register u0 a0 missing
        p0.0 write a0 =1                -> blocked fault
        p0.1 write a0 =2                -> blocked fault
        p0.2 read a0                    -> blocked fault
        p0.3 write a0 =3                -> blocked fault
        m uffd-copy u0 a0 =9
    """,
    "huge pages": """
        p0.0 mmap a0+8 rw
        p0.0 madvise a0+8 nohugepage    -> done
        p0.0 write a1 =1
        p0.0 madvise a0+9 hugepage      -> ENOMEM
        p0.0 madvise a0+8 collapse      -> done
        p0.0 madvise a0+9 collapse      -> ENOMEM
        m khugepaged p0 a0+8            -> done
        m khugepaged p1 a0+8            -> skipped no_process
        m split p0 a1                   -> done
        m split p1 a1                   -> skipped no_process
        p0.0 read a1                    -> 1
        p0.0 read a2                    -> 0
    """,
    "equal mappings side by side": """
        p0.0 mmap a0 rw
        p0.0 mmap a1 rw
        p0.0 uffd-open u0
        m uffd-register u0 a0 missing
        m uffd-register u0 a1 missing
        m uffd-copy u0 a0+2 =1
    """,
    "ksm": """
        p0.0 mmap a0+4 rw
        p0.0 write a0 =7
        p0.0 write a1 =7
        p0.0 write a2 =8
        p0.0 write a3 =7
        p0.0 madvise a0+3 mergeable     -> done
        p0.0 fork p1
        p1.0 write a0 =7
        m ksm-scan                      -> done
        m ksm-merge p0 a0+2             -> done
        p0.0 write a0 =1                -> done
        p0.0 read a1                    -> 7
        p1.0 read a0                    -> 7
        p0.0 madvise a0+4 unmergeable   -> done
        ? p0 a0                         1 present exclusive
        ? p0 a1 vma                     r w
        p1.0 exit
        ? p0 a1                         7 present exclusive
    """,
    "out to swap and back": """
        p0.0 mmap a0+3 rw
        p0.0 write a0 =7
        p0.0 write a1 =8
        p0.0 madvise a0+2 pageout       -> done
        ? p0 a0                         0 swap
        ? p0 anon                       0
        ? p0 swap                       2
        p0.0 read a0                    -> 7
        ? p0 a0                         7 present exclusive
        ? p0 swap                       1
        p0.0 write a1 =9                -> done
        ? p0 a1                         9 present exclusive
        m swap-out p0 a0+3              -> done
        ? p0 a0                         0 swap
        m drop-swap-cache               -> done
        p0.0 munmap a0                  -> done
        ? p0 swap                       1
        p0.0 madvise a1 dontneed        -> done
        ? p0 swap                       0
        p0.0 read a1                    -> 0
        m swap-out p5 a0                -> skipped no_process
        p0.0 madvise a0+2 pageout       -> ENOMEM
    """,
    "pages in swap are shared with a child": """
        p0.0 mmap a0 rw
        p0.0 write a0 =7
        m swap-out p0 a0
        p0.0 fork p1
        ? p1 a0                         0 swap
        ? p1 swap                       1
        p1.0 read a0                    -> 7
        ? p1 a0                         7 present exclusive
        p0.0 read a0                    -> 7
        ? p0 a0                         7 present
        p1.0 write a0 =9                -> done
        p0.0 read a0                    -> 7
        ? p0 a0                         7 present exclusive
    """,
    "a child writes what is in swap": """
        p0.0 mmap a0 rw
        p0.0 write a0 =7
        m swap-out p0 a0
        p0.0 fork p1
        p1.0 write a0 =9                -> done
        p0.0 read a0                    -> 7
        p1.0 read a0                    -> 9
        p1.0 exit                       -> done
    """,
    "swap keeps the protection": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =7
        p0.0 write a1 =7
        p0.0 uffd-open u0
        m uffd-register u0 a0+2 wp
        m uffd-wp u0 a0
        m swap-out p0 a0+2
        ? p0 a0                         0 swap wp
        m uffd-wp u0 a1                 -> done
        ? p0 a1                         0 swap wp
        p0.0 write a0 =8                -> blocked fault
        m swapoff sync                  -> skipped busy
        m uffd-read u0 u1               -> fault write,wp a0
        m uffd-resolve u0 a0            -> done; 8: done
        p0.0 read a1                    -> 7
        ? p0 a1                         7 present wp exclusive
        m swap-out p0 a1
        m swapoff async                 -> done
        ? p0 a1                         7 present wp exclusive
        m swap-out p0 a1
        m uffd-resolve u0 a1            -> done
        p0.0 write a1 =9                -> done
    """,
    "a page in swap is not missing": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =7
        p0.0 uffd-open u0
        m uffd-register u0 a0+2 missing
        m swap-out p0 a0
        m uffd-copy u0 a0 =9            -> EEXIST -17
        m swap-out p0 a0
        m uffd-zeropage u0 a0           -> EEXIST -17
        m uffd-copy u0 a1 =9            -> done 1
        p0.0 read a0                    -> 7
    """,
    "swapoff": """
        p0.0 mmap a0+2 rw
        p0.0 write a0 =7
        p0.0 write a1 =8
        p0.0 mprotect a1 none
        m swap-out p0 a0+2
        ? p0 swap                       2
        m swapoff sync                  -> done
        ? p0 a0                         7 present exclusive
        ? p0 a1                         8 present exclusive
        ? p0 swap                       0
        ? p0 anon                       2
    """,
    "lazy free": """
        p0.0 mmap a0+4 rw
        p0.0 write a0 =1
        p0.0 write a1 =2
        p0.0 write a2 =3
        p0.0 write a3 =4
        m swap-out p0 a2
        p0.0 madvise a0+3 free          -> done
        ? p0 a0                         1 present exclusive
        ? p0 a2                         0
        p0.0 write a1 =5
        p0.0 madvise a3 cold            -> done
        ? p0 a3                         4 present exclusive
        p0.0 read a1                    -> 5
        p0.0 read a2                    -> 0
        p0.0 madvise a3+2 free          -> ENOMEM
    """,
    "what is mapped around": """
        p0.0 file-open f0 memfd @4
        p0.0 file-write f0 @1 =1
        p0.0 mmap-file a0+4 rw f0 @0 shared
        p0.0 read a0                            -> 0
        p0.0 fork p1
        p1.0 write a1 =2                        -> done
        p0.0 read a1                            -> 2
    """,
    "write protection outlives a page of shared memory": """
        p0.0 file-open f0 memfd @4
        p0.0 mmap-file a0+4 rw f0 @0 shared
        p0.0 uffd-open u0
        m uffd-register u0 a0+4 wp
        p0.0 write a0 =1
        m uffd-wp u0 a0+2                       -> done
        p0.0 madvise a0 dontneed                -> done
        p0.0 read a0                            -> 1
        ? p0 a0                                 1 present file wp exclusive
        p0.0 write a0 =2                        -> blocked fault
        p0.1 write a1 =2                        -> blocked fault
    """,
    "KSM passes shared memory by": """
        p0.0 mmap-shared a0+2 rw
        p0.0 write a0 =1
        p0.0 write a1 =1
        p0.0 madvise a0+2 mergeable             -> done
        ? p0 a0 vma                             r w
        m ksm-merge p0 a0+2
        ? p0 a0                                 1 present file exclusive
    """,
}

CASES |= oracle_cases_dirty.CASES
CHOICES |= oracle_cases_dirty.CHOICES
