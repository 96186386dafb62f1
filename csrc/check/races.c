// SPDX-License-Identifier: GPL-2.0-only
/*
 * Data races: two tasks touch the same bytes, at least one of them writes, at least one of them by a plain access, and
 * nothing orders the two (tools/memory-model/Documentation/explanation.txt, PLAIN ACCESSES AND DATA RACES).
 *
 * The compiler's thread instrumentation calls here before each access of kernel code, and the kernel's own marks for KCSAN
 * come here too: data_race(), __data_racy, barriers, regions that count as atomic.  Each task has a clock of what it has
 * seen of the others.  A lock that is handed on orders accesses, and so do a wake-up, a grace period of RCU, tasks that
 * follow each other on one CPU, and a marked write with what came before the last barrier, for who reads it.
 *
 * keeps: accesses of operations of one block to page tables, struct page, mappings, their mm and their anon_vma.
 * leaves out: all other objects, accesses by hardware and by the machine's own code, pages' contents.  Every marked read orders what follows it, not
 * only what depends on it, and all values that a variable ever had count as the one that was read: a race may be missed
 * under one schedule that another shows.
 */
#include "check/held.h"
#include "check/races.h"
#ifdef FL_RACE
#include <linux/kcsan-checks.h>
#include <linux/rmap.h>

/* What is kept of one block; the rest of one that comes to more is not looked at. */
#define RECORDS_MAX	65536
#define GRANULES_MAX	65536		/* powers of two: these two are hashed, and at most half full */
#define SYNCS_MAX	32768
#define IGNORED_MAX	16384		/* a power of two, at most half full */

/* ATOMIC: a plain access in a region of which the kernel says that it may be taken for a marked one. */
enum { PLAIN_READ, PLAIN_WRITE, MARKED_READ, MARKED_WRITE, ATOMIC_READ, ATOMIC_WRITE, ASSERTS_NO_WRITE };
#define WRITES(kind)	((kind) == PLAIN_WRITE || (kind) == MARKED_WRITE || (kind) == ATOMIC_WRITE)
#define PLAIN(kind)	((kind) == PLAIN_READ || (kind) == PLAIN_WRITE || (kind) == ASSERTS_NO_WRITE)

typedef unsigned int clock[FL_NTASKS];

static struct {
	clock seen, fence;		/* of each task; fence: up to the last barrier */
	int disabled, atomic, atomic_next;
	const void **atomic_frame, *atomic_caller;	/* of the function that atomic_next is about */
} actors[FL_NTASKS];

/* The last access of a task and kind to these bytes of eight. */
struct record {
	const void *ip;
	unsigned int number, clock, use;
	unsigned int locks;		/* stands for those that the task held, and where it took them */
	unsigned char task, kind, bytes;
	struct record *next;
};

struct granule {
	unsigned long at;
	unsigned int block;
	struct record *first;
};

/* A lock, or a variable that was written by marked accesses. */
struct sync {
	unsigned long at;
	unsigned int block;
	clock writers, readers;
};

/* Not part of what a restore brings back: all of it begins with a block. */
struct memory {
	struct record record[RECORDS_MAX];
	struct granule granule[GRANULES_MAX];
	struct sync sync[SYNCS_MAX];
};

bool fl_races_on;
static bool wanted_by_run;
static FL_KEEP struct memory *memory;
static FL_KEEP unsigned int block, nrecords, nsyncs, ngranules, number;
static unsigned int use_of_page[FL_ARENA_PAGES];	/* how often it became another page */

/* The race is found when its second access comes: the program then runs again for the calls that led to the first. */
static FL_KEEP unsigned int wanted;
static FL_KEEP bool again;
static FL_KEEP struct fl_chain earlier;
static FL_KEEP bool have_earlier;

/* Two places and the locks held there, the one that the last run found last. */
struct pair {
	const void *ip[2];
	unsigned int locks[2];
};
static FL_KEEP struct pair ignored[IGNORED_MAX], last_pair;
static FL_KEEP unsigned int nignored;

/* --- clocks --- */

static void join(clock to, const clock from)
{
	for (int i = 0; i < FL_NTASKS; i++)
		to[i] = max(to[i], from[i]);
}

static unsigned long hash(unsigned long value)
{
	return (value * 0x9e3779b97f4a7c15UL) >> 40;
}

static struct sync *find_sync(const void *object, bool make)
{
	unsigned long at = (unsigned long)object, i = hash(at);
	struct sync *sync;

	for (;; i++) {
		sync = &memory->sync[i % SYNCS_MAX];
		if (sync->block != block)
			break;
		if (sync->at == at)
			return sync;
	}
	if (!make)
		return NULL;
	if (++nsyncs == SYNCS_MAX / 2)
		fl_races_on = false;
	memset(sync, 0, sizeof(*sync));
	sync->at = at;
	sync->block = block;
	return sync;
}

static void fence(void)
{
	memcpy(actors[fl.cur->id].fence, actors[fl.cur->id].seen, sizeof(clock));
}

/* What the task does from now on is not what it has published. */
static void tick(void)
{
	actors[fl.cur->id].seen[fl.cur->id]++;
}

static bool is_shared(int kind)
{
	return kind == FL_LOCK_READ || kind == FL_LOCK_RWSEM_READ || kind == FL_LOCK_VMA || kind == FL_LOCK_MAP_READ;
}

void fl_races_locked(const void *lock, int kind)
{
	struct sync *sync = find_sync(lock, true);

	join(actors[fl.cur->id].seen, sync->writers);
	if (!is_shared(kind))
		join(actors[fl.cur->id].seen, sync->readers);
	fence();
}

void fl_races_unlocked(const void *lock, int kind)
{
	struct sync *sync = find_sync(lock, true);

	join(is_shared(kind) ? sync->readers : sync->writers, actors[fl.cur->id].seen);
	if (kind == FL_LOCK_VMA)	/* a count, which who comes next reads */
		join(sync->writers, actors[fl.cur->id].seen);
	fence();
	tick();
}

void fl_races_publish(const void *object)
{
	join(find_sync(object, true)->writers, actors[fl.cur->id].seen);
	fence();
	tick();
}

void fl_races_learn(const void *object)
{
	const struct sync *sync = find_sync(object, false);

	if (sync)
		join(actors[fl.cur->id].seen, sync->writers);
	fence();
}

void fl_races_counted(const void *counter)
{
	if (likely(!fl_races_on))
		return;
	fl_races_learn(counter);
	fl_races_publish(counter);
}

void fl_races_learn_all(void)
{
	for (int i = 0; i < FL_NTASKS; i++)
		if (i != fl.cur->id) {
			join(actors[fl.cur->id].seen, actors[i].seen);
			actors[i].seen[i]++;
		}
	fence();
}

/* The machine's own code has found a page by its entry: as if it had taken the table's lock. */
void fl_races_found(const void *lock)
{
	unsigned int owner = ((const arch_spinlock_t *)lock)->owner;

	fl_races_learn(lock);
	if (owner)
		join(actors[fl.cur->id].seen, actors[owner - 1].seen);
}

/* --- what is watched --- */

struct field {
	unsigned long offset;
	const char *name;
};

#define FIELD(type, member)	{ offsetof(type, member), #member }

#ifdef FL_HAVE_FOLIO	/* the same places, and newer trees have names for them there alone */
#define FL_PAGE	struct folio
#else
#define FL_PAGE	struct page
#endif
static const struct field of_page[] = {
	FIELD(FL_PAGE, flags), FIELD(FL_PAGE, lru.next), FIELD(FL_PAGE, lru.prev), FIELD(FL_PAGE, mapping),
	FIELD(FL_PAGE, index), FIELD(FL_PAGE, private), FIELD(FL_PAGE, _mapcount), FIELD(FL_PAGE, _refcount), { }
};
static const struct field of_vma[] = {
	FIELD(struct vm_area_struct, vm_start), FIELD(struct vm_area_struct, vm_end), FIELD(struct vm_area_struct, vm_mm),
	FIELD(struct vm_area_struct, vm_page_prot), FIELD(struct vm_area_struct, vm_flags),
	FIELD(struct vm_area_struct, anon_vma_chain), FIELD(struct vm_area_struct, anon_vma),
	FIELD(struct vm_area_struct, vm_ops), FIELD(struct vm_area_struct, vm_pgoff),
	FIELD(struct vm_area_struct, vm_file), FIELD(struct vm_area_struct, vm_private_data),
#ifdef CONFIG_NUMA
	FIELD(struct vm_area_struct, vm_policy),
#endif
#ifdef CONFIG_USERFAULTFD
	FIELD(struct vm_area_struct, vm_userfaultfd_ctx),
#endif
#ifdef FL_VMA_LOCKS
	FIELD(struct vm_area_struct, vm_lock_seq),
#endif
	FIELD(struct vm_area_struct, shared), { }
};
static const struct field of_mm[] = {
	FIELD(struct mm_struct, pgd), FIELD(struct mm_struct, mm_users), FIELD(struct mm_struct, mm_count),
	FIELD(struct mm_struct, map_count), FIELD(struct mm_struct, mmlist), FIELD(struct mm_struct, hiwater_rss),
	FIELD(struct mm_struct, hiwater_vm), FIELD(struct mm_struct, total_vm), FIELD(struct mm_struct, locked_vm),
	FIELD(struct mm_struct, pinned_vm), FIELD(struct mm_struct, data_vm), FIELD(struct mm_struct, exec_vm),
	FIELD(struct mm_struct, stack_vm), FIELD(struct mm_struct, def_flags), FIELD(struct mm_struct, flags),
	FIELD(struct mm_struct, tlb_flush_pending), FIELD(struct mm_struct, page_table_lock),
	FIELD(struct mm_struct, mmap_lock),
#ifdef FL_HAVE_MAPLE_TREE
	FIELD(struct mm_struct, mm_mt),
#endif
#ifdef FL_VMA_LOCKS
	FIELD(struct mm_struct, mm_lock_seq),
#endif
	{ }
};
static const struct field of_anon_vma[] = {
	FIELD(struct anon_vma, root), FIELD(struct anon_vma, refcount), FIELD(struct anon_vma, num_children),
	FIELD(struct anon_vma, num_active_vmas), FIELD(struct anon_vma, parent), FIELD(struct anon_vma, rb_root), { }
};
static const struct field of_chain[] = {
	FIELD(struct anon_vma_chain, vma), FIELD(struct anon_vma_chain, anon_vma),
	FIELD(struct anon_vma_chain, same_vma), FIELD(struct anon_vma_chain, rb), { }
};

static const struct {
	const char *type;
	const struct field *fields;
} objects[] = {
	{ "vm_area_struct", of_vma }, { "mm_struct", of_mm }, { "anon_vma", of_anon_vma }, { "anon_vma_chain", of_chain },
};

struct watched {
	const char *type;
	const struct field *fields;	/* NULL: it has none */
	unsigned long offset;
	unsigned int use;
};

static bool find_watched(unsigned long addr, struct watched *watched)
{
	unsigned long index = (addr - fl_arena) >> PAGE_SHIFT;
	const void *cache;
	const char *name;

	if (index >= FL_ARENA_PAGES)
		return false;
	if (addr < fl_memmap_end) {
		unsigned long nr = (addr - fl_memmap_start) / sizeof(struct page);

		*watched = (struct watched){ "page", of_page, (addr - fl_memmap_start) % sizeof(struct page),
					     use_of_page[nr] };
		return true;
	}
	if (PageTable(mem_map + index)) {
		*watched = (struct watched){ "page table", NULL, 0, use_of_page[index] };
		return true;
	}
	if (!fl_slab_place((const void *)addr, &cache, &name, &watched->offset) || !cache || cache == (const void *)addr)
		return false;
	for (int i = 0; i < ARRAY_SIZE(objects); i++)
		if (!strcmp(name, objects[i].type)) {
			watched->type = name;
			watched->fields = objects[i].fields;
			watched->use = 0;
			return true;
		}
	return false;
}

/* The last field that begins at or before the offset; those of a table ascend or not. */
static const struct field *field_at(const struct watched *watched)
{
	const struct field *best = NULL;

	for (const struct field *field = watched->fields; field && field->name; field++)
		if (field->offset <= watched->offset && (!best || field->offset > best->offset))
			best = field;
	return best && watched->offset - best->offset < 16 ? best : NULL;
}

/* --- accesses --- */

static struct granule *find_granule(unsigned long at, bool make)
{
	unsigned long i = hash(at);
	struct granule *granule;

	for (;; i++) {
		granule = &memory->granule[i % GRANULES_MAX];
		if (granule->block != block)
			break;
		if (granule->at == at)
			return granule;
	}
	if (!make)
		return NULL;
	if (++ngranules == GRANULES_MAX / 2)
		fl_races_on = false;
	*granule = (struct granule){ .at = at, .block = block };
	return granule;
}

static unsigned int locks_held(void)
{
	unsigned int sum = fl.cur->nheld;

	for (int i = 0; i < fl.cur->nheld; i++)
		sum = sum * 31 + hash((unsigned long)fl.cur->held[i].ip);
	return sum;
}

static struct pair pair_of(const struct record *record, const void *ip)
{
	struct pair pair = { { record->ip, ip }, { record->locks, locks_held() } };

	if (record->ip > ip)
		pair = (struct pair){ { ip, record->ip }, { pair.locks[1], pair.locks[0] } };
	return pair;
}

/* Where the pair is, or is to be put. */
static struct pair *find_ignored(const struct pair *pair)
{
	unsigned long i = hash((unsigned long)pair->ip[0] * 3 + (unsigned long)pair->ip[1] + pair->locks[0] * 5 + pair->locks[1]);

	while (ignored[i % IGNORED_MAX].ip[0] && memcmp(&ignored[i % IGNORED_MAX], pair, sizeof(*pair)))
		i++;
	return &ignored[i % IGNORED_MAX];
}

void fl_races_ignore(void)
{
	struct pair *place = find_ignored(&last_pair);

	if (!last_pair.ip[0] || place->ip[0] || nignored == IGNORED_MAX / 2)
		return;
	*place = last_pair;
	nignored++;
}

static const char *describe(int kind)
{
	switch (kind) {
	case PLAIN_READ: return "read by a plain access";
	case PLAIN_WRITE: return "written by a plain access";
	case MARKED_READ: return "read by a marked access";
	case MARKED_WRITE: return "written by a marked access";
	case ATOMIC_READ: return "read in a region that counts as atomic";
	case ATOMIC_WRITE: return "written in a region that counts as atomic";
	default: return "asserted to have no other writer";
	}
}

/* Whether the bytes lie in a table of the lowest level, as far as one leads to it. */
static bool in_lowest_table(unsigned long addr)
{
	for (int p = 0; p < FL_PROCESSES; p++)
		for (unsigned long at = FL_REGION; fl.process[p].mm && at < FL_REGION_END; at += PMD_SIZE) {
			pte_t *pte = fl_pte_at(fl.process[p].mm, at);

			if (pte && virt_to_page(pte) == virt_to_page((void *)addr))
				return true;
		}
	return false;
}

static void found(const struct watched *watched, unsigned long at, const struct record *record, int kind, const void *ip, const void *bp)
{
	const struct field *field = field_at(watched);
	const char *name = field ? field->name : !watched->fields && in_lowest_table(at) ? "pte" : NULL;

	last_pair = pair_of(record, ip);
	if (find_ignored(&last_pair)->ip[0])
		return;
	if (!wanted) {
		wanted = record->number;
		again = true;
		fl_end_program();
	}
	fl_report_earlier(have_earlier ? &earlier : NULL);
	fl_report_from(FL_KIND_DATA_RACE, record->ip, NULL, bp, "%s%s%s: %s, and before that %s by another task",
		       watched->type, name ? "." : "", name ?: "", describe(kind), describe(record->kind));
}

static void look_at(const struct watched *watched, unsigned long at, unsigned char bytes, int kind, const void *ip,
		    const void *bp)
{
	struct granule *granule = find_granule(at, true);
	unsigned int locks = locks_held();
	int id = fl.cur->id;
	struct record *own = NULL;

	for (struct record *record = granule->first; record; record = record->next) {
		if (record->task == id && record->kind == kind && record->bytes == bytes)
			own = record;
		if (record->use != watched->use || record->task == id || !(record->bytes & bytes))
			continue;
		if (!(WRITES(kind) || WRITES(record->kind)) || !(PLAIN(kind) || PLAIN(record->kind)))
			continue;
		if (record->clock > actors[id].seen[record->task])
			found(watched, at, record, kind, ip, bp);
	}
	if (!own) {
		own = &memory->record[nrecords];
		if (nrecords < RECORDS_MAX - 1)
			nrecords++;
		else
			fl_races_on = false;
		own->next = granule->first;
		granule->first = own;
	}
	*own = (struct record){ ip, number, actors[id].seen[id], watched->use, locks, id, kind, bytes, own->next };
	/* Who read what a marked write has published knows of that write too. */
	if (!PLAIN(kind))
		own->clock = actors[id].fence[id];
}

static void touch(unsigned long addr, unsigned long size, int kind, const void *ip, const void *bp)
{
	struct watched watched;

	if (fl.cur->id == FL_ID_BOOT || actors[fl.cur->id].disabled || !find_watched(addr, &watched))
		return;
	if (++number == wanted) {
		fl_chain_of(&earlier, bp);
		have_earlier = true;
	}
	while (size) {
		unsigned long n = min(size, 8 - addr % 8);

		look_at(&watched, addr & ~7UL, ((1U << n) - 1) << addr % 8, kind, ip, bp);
		addr += n;
		watched.offset += n;
		size -= n;
	}
}

static void marked_read(unsigned long addr, unsigned long size, int kind, const void *ip, const void *bp)
{
	const struct sync *sync = find_sync((const void *)addr, false);

	touch(addr, size, kind, ip, bp);
	if (sync)
		join(actors[fl.cur->id].seen, sync->writers);
}

static void marked_write(unsigned long addr, unsigned long size, int kind, const void *ip, const void *bp)
{
	touch(addr, size, kind, ip, bp);
	join(find_sync((const void *)addr, true)->writers, actors[fl.cur->id].fence);
}

/* Where a sequence count is read and not looked at again, the region has no end but that of its function. */
static bool in_atomic_function(const void **frame)
{
	const void **last = actors[fl.cur->id].atomic_frame;

	while (frame && frame < last)
		frame = (const void **)frame[0];
	return frame == last && frame[1] == actors[fl.cur->id].atomic_caller;
}

static void plain(unsigned long addr, unsigned long size, bool write, const void *ip, const void *bp)
{
	bool atomic = actors[fl.cur->id].atomic;

	if (actors[fl.cur->id].atomic_next && !in_atomic_function(*(const void ***)bp))
		actors[fl.cur->id].atomic_next = 0;
	if (!atomic && actors[fl.cur->id].atomic_next) {
		actors[fl.cur->id].atomic_next--;
		atomic = true;
	}
	if (!atomic)
		touch(addr, size, write ? PLAIN_WRITE : PLAIN_READ, ip, bp);
	else if (write)
		marked_write(addr, size, ATOMIC_WRITE, ip, bp);
	else
		marked_read(addr, size, ATOMIC_READ, ip, bp);
}

void fl_races_fresh(const void *object, unsigned long size)
{
	unsigned long addr = (unsigned long)object;

	if (addr - fl_memmap_start < fl_memmap_end - fl_memmap_start) {
		use_of_page[(addr - fl_memmap_start) / sizeof(struct page)]++;
		return;
	}
	for (unsigned long at = addr & ~7UL; at < addr + size; at += 8) {
		struct granule *granule = find_granule(at, false);

		if (granule)
			granule->first = NULL;
	}
}

/* --- the run loop --- */

void fl_races_boot(void)
{
	memory = fl_posix_map(sizeof(*memory));
}

void fl_races_begin_run(void)
{
	wanted = 0;
	have_earlier = false;
}

void fl_races_begin_program(bool on)
{
	fl_races_on = false;
	wanted_by_run = on && memory;
	number = 0;
}

void fl_races_begin_block(void)
{
	if (!wanted_by_run)
		return;
	block++;
	nrecords = nsyncs = ngranules = 0;
	memset(actors, 0, sizeof(actors));
	for (int i = 0; i < FL_NTASKS; i++) {
		actors[i].fence[i] = 1;
		actors[i].seen[i] = 2;
	}
	fl_races_on = true;
}

void fl_races_end_block(void)
{
	fl_races_on = false;
}

bool fl_races_again(void)
{
	bool it = again;

	again = false;
	return it;
}

/* --- what the compiler calls --- */

#define IP	__builtin_return_address(0)
#define BP	__builtin_frame_address(0)

void __tsan_init(void) { }
void __tsan_func_entry(void *pc) { }
void __tsan_func_exit(void) { }

#define ACCESS(name, does)	\
void __tsan_##name(void *addr) { FL_RACES_DO(does); }
#define SIZED(size)							\
ACCESS(read##size, plain((unsigned long)addr, size, false, IP, BP))	\
ACCESS(write##size, plain((unsigned long)addr, size, true, IP, BP))	\
ACCESS(read_write##size, plain((unsigned long)addr, size, true, IP, BP))	\
ACCESS(unaligned_read##size, plain((unsigned long)addr, size, false, IP, BP))	\
ACCESS(unaligned_write##size, plain((unsigned long)addr, size, true, IP, BP))	\
ACCESS(unaligned_read_write##size, plain((unsigned long)addr, size, true, IP, BP))	\
ACCESS(volatile_read##size, marked_read((unsigned long)addr, size, MARKED_READ, IP, BP))	\
ACCESS(volatile_write##size, marked_write((unsigned long)addr, size, MARKED_WRITE, IP, BP))	\
ACCESS(unaligned_volatile_read##size, marked_read((unsigned long)addr, size, MARKED_READ, IP, BP))	\
ACCESS(unaligned_volatile_write##size, marked_write((unsigned long)addr, size, MARKED_WRITE, IP, BP))
SIZED(1) SIZED(2) SIZED(4) SIZED(8) SIZED(16)

void __tsan_read_range(void *addr, unsigned long size)
{
	FL_RACES_DO(plain((unsigned long)addr, size, false, IP, BP));
}

void __tsan_write_range(void *addr, unsigned long size)
{
	FL_RACES_DO(plain((unsigned long)addr, size, true, IP, BP));
}

void *__tsan_memcpy(void *to, const void *from, unsigned long size)
{
	FL_RACES_DO(plain((unsigned long)from, size, false, IP, BP));
	FL_RACES_DO(plain((unsigned long)to, size, true, IP, BP));
	return memcpy(to, from, size);
}

void *__tsan_memmove(void *to, const void *from, unsigned long size)
{
	FL_RACES_DO(plain((unsigned long)from, size, false, IP, BP));
	FL_RACES_DO(plain((unsigned long)to, size, true, IP, BP));
	return memmove(to, from, size);
}

void *__tsan_memset(void *to, int byte, unsigned long size)
{
	FL_RACES_DO(plain((unsigned long)to, size, true, IP, BP));
	return memset(to, byte, size);
}

/* The kernel's barriers; one that orders reads alone publishes nothing. */
void __tsan_atomic_signal_fence(int order)
{
	if (unlikely(fl_races_on) && order != __ATOMIC_ACQUIRE) {
		fence();
		tick();
	}
}

void __tsan_atomic_thread_fence(int order)
{
	__tsan_atomic_signal_fence(order);
}

/* --- what the kernel says to KCSAN --- */

#define ACTOR	(actors[fl.cur->id])

void kcsan_disable_current(void) { FL_RACES_DO(ACTOR.disabled++); }
void kcsan_enable_current(void) { FL_RACES_DO(ACTOR.disabled--); }
void kcsan_enable_current_nowarn(void) { FL_RACES_DO(ACTOR.disabled--); }
void kcsan_nestable_atomic_begin(void) { FL_RACES_DO(ACTOR.atomic++); }
void kcsan_nestable_atomic_end(void) { FL_RACES_DO(ACTOR.atomic--); }
void kcsan_flat_atomic_begin(void) { FL_RACES_DO(ACTOR.atomic++); }
void kcsan_flat_atomic_end(void) { FL_RACES_DO(ACTOR.atomic--); }

void kcsan_atomic_next(int n)
{
	if (likely(!fl_races_on))
		return;
	ACTOR.atomic_next = n;
	ACTOR.atomic_frame = *(const void ***)BP;
	ACTOR.atomic_caller = ACTOR.atomic_frame[1];
}


/* Only some bits are asserted then: which ones change cannot be told here, so that the assertion passes. */
static unsigned long mask;
void kcsan_set_access_mask(unsigned long bits) { mask = bits; }

/* Atomic operations come by their accesses. */
void __kcsan_check_access(const volatile void *addr, size_t size, int type)
{
	if (likely(!fl_races_on) || type & KCSAN_ACCESS_ATOMIC || mask)
		return;
	if (type & KCSAN_ACCESS_ASSERT)
		touch((unsigned long)addr, size, type & KCSAN_ACCESS_WRITE ? PLAIN_WRITE : ASSERTS_NO_WRITE, IP, BP);
	else
		plain((unsigned long)addr, size, type & KCSAN_ACCESS_WRITE, IP, BP);
}

/* leaves out: what happens between begin and end. */
struct kcsan_scoped_access *kcsan_begin_scoped_access(const volatile void *addr, size_t size, int type,
						      struct kcsan_scoped_access *scope)
{
	__kcsan_check_access(addr, size, type);
	return scope;
}

void kcsan_end_scoped_access(struct kcsan_scoped_access *scope) { }

#else
void fl_races_ignore(void) { }
#endif
