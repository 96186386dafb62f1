// SPDX-License-Identifier: GPL-2.0-only
/*
 * The order of locks, by class: a task that holds one and waits for another says that the one comes before the other.  If
 * what a program says leads in a circle, with what the kernel's documentation says, two tasks may come to wait for each
 * other, whether they did or not.
 *
 * A class is where a lock lies: which member of objects of which slab cache, the lock of a page table, that of a folio, a
 * variable.  Locks of the same class have no order here, and one that is only tried comes after none.  A finding rests on
 * its own program alone, so that it is the same after any other program.
 * leaves out: interrupts; what comes before a folio lock, which may only have been tried; memory of kmalloc() that came
 * after start-up, as its place does not tell what it is.
 */
#include "check/held.h"
#include <linux/rmap.h>
#include <linux/shmem_fs.h>

/*
 * Classes that the documentation puts in an order: mm/rmap.c, at its beginning, and Documentation/mm/process_addrs.rst.
 * A lower rank is taken first.
 */
enum { RANK_NONE, RANK_INODE, RANK_MMAP, RANK_INVALIDATE, RANK_FOLIO, RANK_FILE_MAPPING, RANK_ANON_VMA, RANK_TABLE,
       RANK_CACHE, RANK_LRU };

struct order_class {
	const void *key;		/* a slab cache with an offset into its objects, or a variable */
	unsigned long offset;
	const char *name;
	unsigned char rank;
	unsigned char number;		/* see fl_class_name_number(); 0: it has no name */
};

enum { NUMBER_NONE, NUMBER_FOLIO, NUMBER_VMA, NUMBER_TABLE, NUMBER_MEMBERS };

static FL_KEEP struct order_class classes[FL_CLASSES_MAX] = {
	[FL_CLASS_FOLIO] = { .name = "folio lock", .rank = RANK_FOLIO, .number = NUMBER_FOLIO },
	[FL_CLASS_VMA] = { .name = "vma lock", .number = NUMBER_VMA },
	[FL_CLASS_TABLE] = { .name = "page table lock", .rank = RANK_TABLE, .number = NUMBER_TABLE },
};
static FL_KEEP unsigned int nclasses = FL_CLASSES_FIXED;

fl_order_graph FL_KEEP fl_order_fine;
/* What all programs said so far that leads in no circle. */
static FL_KEEP fl_order_graph known;
/*
 * Some program said what leads in a circle with what was said before.  From then on each program's own orders are noted and
 * searched, and that program runs again: what it shows must not depend on those before it.
 */
static FL_KEEP bool search, again;
static fl_order_graph own;
static FL_KEEP const void *place[FL_CLASSES_MAX][FL_CLASSES_MAX];	/* where that was */

/* Members that have a name in a report, or a rank. */
static const struct {
	const char *cache;
	unsigned long offset;
	const char *name;
	unsigned char rank;
} members[] = {
	{ "mm_struct", offsetof(struct mm_struct, mmap_lock), "mmap_lock", RANK_MMAP },
	{ "mm_struct", offsetof(struct mm_struct, page_table_lock), "page_table_lock", RANK_TABLE },
	{ "anon_vma", offsetof(struct anon_vma, rwsem), "anon_vma lock", RANK_ANON_VMA },
};

/* Members of an inode, wherever a file system has that in its own: of all file systems one class, as mm/rmap.c has it. */
static const struct {
	unsigned long offset;
	const char *name;
	unsigned char rank;
} of_inode[] = {
	{ offsetof(struct inode, i_rwsem), "i_rwsem", RANK_INODE },
	{ offsetof(struct inode, i_data.i_mmap_rwsem), "i_mmap_rwsem", RANK_FILE_MAPPING },
	{ offsetof(struct inode, i_data.i_pages.xa_lock), "i_pages lock", RANK_CACHE },
#ifdef FL_HAVE_INVALIDATE_LOCK
	{ offsetof(struct inode, i_data.invalidate_lock), "invalidate_lock", RANK_INVALIDATE },
#endif
};

static bool inode_in(const char *cache, unsigned long *offset)
{
	if (!strcmp(cache, "inode_cache"))
		*offset = 0;
	else if (!strcmp(cache, "shmem_inode_cache"))
		*offset = offsetof(struct shmem_inode_info, vfs_inode);
	else
		return false;
	return true;
}

static void describe(struct order_class *class, const char *cache)
{
	for (int i = 0; i < ARRAY_SIZE(members); i++)
		if (class->offset == members[i].offset && !strcmp(cache, members[i].cache)) {
			class->name = members[i].name;
			class->rank = members[i].rank;
			class->number = NUMBER_MEMBERS + i;
		}
}

static unsigned int class_by(const void *key, unsigned long offset, const char *cache)
{
	struct order_class *class = &classes[nclasses];

	for (unsigned int i = FL_CLASSES_FIXED; i < nclasses; i++)
		if (classes[i].key == key && classes[i].offset == offset)
			return i;
	if (nclasses == FL_CLASSES_MAX)
		return FL_CLASS_NONE;
	*class = (struct order_class){ .key = key, .offset = offset };
	if (cache)
		describe(class, cache);
	return nclasses++;
}

static unsigned int class_in_inode(const void *key, unsigned long offset, const char *cache, unsigned long inode)
{
	for (int i = 0; i < ARRAY_SIZE(of_inode); i++)
		if (offset == inode + of_inode[i].offset) {
			unsigned int class = class_by(&of_inode[i], 0, NULL);

			if (class == FL_CLASS_NONE)
				return class;
			classes[class].name = of_inode[i].name;
			classes[class].rank = of_inode[i].rank;
			classes[class].number = NUMBER_MEMBERS + ARRAY_SIZE(members) + i;
			return class;
		}
	return class_by(key, offset, cache);
}

/* A variable: for each CPU and task the same one, on a stack none, and none in a table of many alike. */
static unsigned int class_of_variable(const void *lock)
{
	for (int i = 0; i < FL_NTASKS; i++) {
		const char *ts = (const char *)fl.task[i].ts;

		if (ts && (const char *)lock >= ts && (const char *)lock < ts + sizeof(struct task_struct))
			return class_by(&fl.task, (const char *)lock - ts, NULL);
	}
	for (int cpu = 0; cpu < fl.cpus; cpu++) {
		const char *first = (const char *)lock - __per_cpu_offset[cpu];

		if (fl_percpu_has(first))
			return class_by(first, 0, NULL);
	}
	return !fl_posix_is_data(lock) || fl_filemap_has_queue(lock) ? FL_CLASS_NONE : class_by(lock, 0, NULL);
}

/* Which class a member of a cache's objects is, as found last: every new object asks for those of its locks. */
struct member_found {
	const void *cache;
	unsigned long offset;
	unsigned int class;
};
static FL_KEEP struct member_found members_found[64];

unsigned int fl_class_find(const void *lock)
{
	struct member_found *found;
	const void *cache;
	const char *name;
	unsigned long offset, inode;
	unsigned int class;

	if ((unsigned long)lock - fl_memmap_start < fl_memmap_end - fl_memmap_start)
		return FL_CLASS_TABLE;
	if (!fl_slab_place(lock, &cache, &name, &offset))
		return class_of_variable(lock);
	if (!cache)
		return FL_CLASS_NONE;
	found = &members_found[((unsigned long)cache >> 4 ^ offset >> 3) % ARRAY_SIZE(members_found)];
	if (found->cache == cache && found->offset == offset)
		return found->class;
	if (inode_in(name, &inode))
		class = class_in_inode(cache, offset, name, inode);
	else
		class = strcmp(name, "vma_lock") ? class_by(cache, offset, name) : FL_CLASS_VMA;
	*found = (struct member_found){ cache, offset, class };
	return class;
}

static bool is_in(fl_order_graph graph, unsigned int from, unsigned int to)
{
	return graph[from][to / 64] >> to % 64 & 1;
}

static void put_in(fl_order_graph graph, unsigned int from, unsigned int to)
{
	graph[from][to / 64] |= 1UL << to % 64;
}

static bool documented(unsigned int from, unsigned int to)
{
	return classes[from].rank && classes[to].rank && classes[from].rank < classes[to].rank;
}

/* Whether the graph, with what is documented, leads from one class to another; `via`: the first on the way. */
static bool leads(fl_order_graph graph, unsigned int from, unsigned int to, bool *seen, unsigned int *via)
{
	unsigned int next;

	seen[from] = true;
	for (unsigned int i = 1; i < nclasses; i++) {
		if (seen[i] || !(is_in(graph, from, i) || documented(from, i)))
			continue;
		if (i != to && !leads(graph, i, to, seen, &next))
			continue;
		*via = i;
		return true;
	}
	return false;
}

/* A number that the class has in every build; 0: it has no name. */
unsigned int fl_class_name_number(unsigned int class)
{
	return classes[class].number;
}

const char *fl_lock_name_of(unsigned int number)
{
	if (number == NUMBER_NONE)
		return "none";
	if (number < NUMBER_MEMBERS)
		return classes[number - NUMBER_FOLIO + FL_CLASS_FOLIO].name;
	number -= NUMBER_MEMBERS;
	if (number < ARRAY_SIZE(members))
		return members[number].name;
	number -= ARRAY_SIZE(members);
	return number < ARRAY_SIZE(of_inode) ? of_inode[number].name : NULL;
}

static const char *name_of(unsigned int class, const void *lock, int kind)
{
	return classes[class].name ?: fl_lock_name(lock, kind);
}

static void search_own(const struct fl_held *held, unsigned int class, const void *lock, int kind)
{
	bool seen[FL_CLASSES_MAX] = { };
	const void *earlier;
	unsigned int via;

	if (!leads(own, class, held->class, seen, &via))
		return;
	earlier = is_in(own, class, via) ? place[class][via] : NULL;
	fl_report(FL_KIND_LOCK_ORDER, earlier ?: held->ip, "%s taken while %s is held, but %s", name_of(class, lock, kind),
		  name_of(held->class, held->lock, held->kind), !earlier ? "is documented to come before it" :
		  via == held->class ? "was taken before it" : "was taken before others that come before it");
}

static bool leads_in_circle(unsigned int from, unsigned int to)
{
	bool seen[FL_CLASSES_MAX] = { };
	unsigned int via;

	return leads(known, to, from, seen, &via);
}

/* Something is taken while the other is held, for the first time: of all programs, or once there is a search of this one. */
void fl_order_new(const struct fl_held *held, unsigned int class, const void *lock, int kind, const void *ip)
{
	if (held->class <= FL_CLASS_NONE || class <= FL_CLASS_NONE || held->class == class) {
		put_in(fl_order_fine, held->class, class);
		return;
	}
	if (!is_in(known, held->class, class)) {
		if (!leads_in_circle(held->class, class))
			put_in(known, held->class, class);
		else if (!search)
			search = again = true;
	}
	if (search || is_in(known, held->class, class))
		put_in(fl_order_fine, held->class, class);
	if (likely(!search))
		return;
	put_in(own, held->class, class);
	place[held->class][class] = ip;
	search_own(held, class, lock, kind);
}

void fl_order_begin(void)
{
	if (likely(!search))
		return;
	memset(own, 0, sizeof(own));
	memset(fl_order_fine, 0, sizeof(fl_order_fine));
}

/* Whether the program is to run again, with its own orders noted from its beginning. */
bool fl_order_again(void)
{
	bool it = again;

	again = false;
	return it;
}
