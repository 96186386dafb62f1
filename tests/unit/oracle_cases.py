"""What each operation does, as scripts (see oracle_dsl): for the oracle, and to be confirmed by a live kernel.

Scripts hold no choice of the kernel, except those of CHOICES and DEVIATIONS, whose outcomes are the documented ones.
"""

from __future__ import annotations

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
}

CHOICES = {
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
}
