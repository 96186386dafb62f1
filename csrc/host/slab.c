// SPDX-License-Identifier: GPL-2.0-only
/*
 * The slab allocator.
 * keeps: one cache per kernel cache, constructors, type-safe-by-RCU objects, alignment; a freed object is poisoned.
 * leaves out: per-CPU lists, merging of caches, accounting.  The lowest free object comes first.
 */
#include "host/host.h"
#include "check/races.h"
#include <linux/slab.h>
#include <linux/bitops.h>

#define POISON	0x6b
#define OBJECTS_MAX	64
#define CACHES_MAX	96
#define CHUNKS_MAX	256

struct chunk {
	struct kmem_cache *cache;
	char *memory;
	unsigned long free;		/* bit per object */
	unsigned long free_at_mark;
	unsigned int order;
	struct chunk *next;
};

struct kmem_cache {
	const char *name;
	unsigned int size, stride, order, objects;
	bool keep_state;		/* constructed, or readable after free: never poisoned */
	bool any_kind;			/* of kmalloc(): its objects are of all kinds */
	void (*ctor)(void *object);
	struct chunk *chunks, **last;
	long live, live_at_mark;
	struct chunk *last_at_mark;
};

static struct kmem_cache caches[CACHES_MAX];
static int ncaches;
static struct chunk chunks[CHUNKS_MAX];
static struct chunk *chunk_of[FL_ARENA_PAGES];
static struct chunk *unused;
static unsigned char large_order[FL_ARENA_PAGES];	/* order + 1 of a big kmalloc */
static long large_live, large_at_mark;
static struct kmem_cache *vma_cache;
static bool marked;

#ifdef FL_HAVE_KMEM_BUCKETS
kmem_buckets kmalloc_caches[NR_KMALLOC_TYPES];
#else
struct kmem_cache *kmalloc_caches[NR_KMALLOC_TYPES][KMALLOC_SHIFT_HIGH + 1];
#endif
#ifdef CONFIG_RANDOM_KMALLOC_CACHES
unsigned long random_kmalloc_seed;
#endif

static unsigned long index_of(const void *addr)
{
	return ((unsigned long)addr - fl_arena) >> PAGE_SHIFT;
}

static struct kmem_cache *cache_create(const char *name, unsigned int size, unsigned int align, slab_flags_t flags,
				       void (*ctor)(void *))
{
	struct kmem_cache *cache = &caches[ncaches++];

	if (ncaches > CACHES_MAX)
		fl_report(FL_KIND_TOOL_ERROR, NULL, "too many slab caches");
	if (flags & SLAB_HWCACHE_ALIGN)
		align = max(align, 64U);
	cache->name = name;
	cache->size = size;
	cache->stride = ALIGN(size, max(align, 16U));
	while (cache->order < 3 && (PAGE_SIZE << cache->order) / cache->stride < 16)
		cache->order++;
	cache->objects = min_t(unsigned long, OBJECTS_MAX, (PAGE_SIZE << cache->order) / cache->stride);
	cache->ctor = ctor;
	cache->any_kind = !strncmp(name, "kmalloc-", 8);
	cache->keep_state = ctor || (flags & SLAB_TYPESAFE_BY_RCU);
	cache->last = &cache->chunks;
	if (!strcmp(name, "vm_area_struct"))
		vma_cache = cache;
	return cache;
}

static struct chunk *grow(struct kmem_cache *cache)
{
	struct page *page = fl_page_alloc(0, cache->order);
	struct chunk *chunk = unused;

	if (!page || !chunk)
		return NULL;
	unused = chunk->next;
	chunk->cache = cache;
	chunk->memory = page_to_virt(page);
	chunk->order = cache->order;
	chunk->free = cache->objects == 64 ? ~0UL : (1UL << cache->objects) - 1;
	chunk->free_at_mark = chunk->free;
	chunk->next = NULL;
	for (unsigned int i = 0; i < 1U << cache->order; i++)
		chunk_of[index_of(chunk->memory) + i] = chunk;
	for (unsigned int i = 0; cache->ctor && i < cache->objects; i++)
		cache->ctor(chunk->memory + i * cache->stride);
	if (!cache->keep_state)
		fl_poison(chunk->memory, PAGE_SIZE << cache->order);
	*cache->last = chunk;
	cache->last = &chunk->next;
	return chunk;
}

static void *object_alloc(struct kmem_cache *cache, gfp_t gfp)
{
	struct chunk *chunk = cache->chunks;
	unsigned int i;
	char *object;

	if (gfp & __GFP_DIRECT_RECLAIM)
		fl_check_sleep("allocating memory");
	if (!(gfp & __GFP_NOFAIL) && fl_fails(FL_FAULT_SLAB))
		return NULL;
	fl_counts.objects++;
	while (chunk && !chunk->free)
		chunk = chunk->next;
	if (unlikely(!chunk)) {
		chunk = grow(cache);
		if (!chunk)
			return NULL;
	}
	i = __builtin_ctzl(chunk->free);
	chunk->free &= ~(1UL << i);
	cache->live++;
	object = chunk->memory + i * cache->stride;
	fl_race_fresh(object, cache->size);
	if (!cache->keep_state)
		fl_unpoison(object, cache->size);
	if (gfp & __GFP_ZERO)
		memset(object, 0, cache->size);
	return object;
}

static void object_free(struct chunk *chunk, void *object)
{
	struct kmem_cache *cache = chunk->cache;
	unsigned int offset = (char *)object - chunk->memory, i = offset / cache->stride;

	if (unlikely(offset % cache->stride || i >= cache->objects))
		fl_report(FL_KIND_USE_AFTER_FREE, NULL, "%s: freed address is no object", cache->name);
	if (unlikely(chunk->free & (1UL << i)))
		fl_report(FL_KIND_USE_AFTER_FREE, NULL, "%s: object freed twice", cache->name);
	if (!cache->keep_state) {
		memset(object, POISON, cache->size);
		fl_poison(object, cache->stride);
	}
	chunk->free |= 1UL << i;
	cache->live--;
}

static struct chunk *chunk_at(const void *object)
{
	unsigned long index = index_of(object);

	return index < FL_ARENA_PAGES ? chunk_of[index] : NULL;
}

static void *big_alloc(size_t size, gfp_t gfp)
{
	unsigned int order = get_order(size);
	struct page *page = fl_page_alloc(gfp, order);

	if (!page)
		return NULL;
	large_order[page - mem_map] = order + 1;
	large_live++;
	fl_counts.objects++;
	return page_to_virt(page);
}

/* Which of the caches for a kmalloc() of this size: 96 and 192 bytes stand apart, then powers of two from 8 on. */
static unsigned int bucket(size_t size)
{
	if (size > 64 && size <= 96)
		return 1;
	if (size > 128 && size <= 192)
		return 2;
	return size <= 8 ? 3 : fls64(size - 1);
}

static void *memory_alloc(size_t size, gfp_t gfp)
{
	if (!size)
		return ZERO_SIZE_PTR;
	if (size > KMALLOC_MAX_CACHE_SIZE)
		return big_alloc(size, gfp);
	return object_alloc(kmalloc_caches[0][bucket(size)], gfp);
}

static void memory_free(const void *object)
{
	struct chunk *chunk;
	unsigned long index;

	if (ZERO_OR_NULL_PTR(object))
		return;
	chunk = chunk_at(object);
	if (chunk) {
		object_free(chunk, (void *)object);
		return;
	}
	index = index_of(object);
	if (index >= FL_ARENA_PAGES || !large_order[index])
		fl_report(FL_KIND_USE_AFTER_FREE, NULL, "kfree() of memory that is not allocated");
	large_live--;
	page_ref_dec(mem_map + index);
	fl_page_free(mem_map + index, large_order[index] - 1);
	large_order[index] = 0;
}

static const char *const kmalloc_names[] = {
	"", "kmalloc-96", "kmalloc-192", "kmalloc-8", "kmalloc-16", "kmalloc-32", "kmalloc-64", "kmalloc-128",
	"kmalloc-256", "kmalloc-512", "kmalloc-1k", "kmalloc-2k", "kmalloc-4k", "kmalloc-8k",
};

void fl_slab_init(void)
{
	for (int i = CHUNKS_MAX - 1; i >= 0; i--) {
		chunks[i].next = unused;
		unused = &chunks[i];
	}
	for (int i = 1; i <= KMALLOC_SHIFT_HIGH; i++) {
		unsigned int size = i == 1 ? 96 : i == 2 ? 192 : 1U << i;
		struct kmem_cache *cache = cache_create(kmalloc_names[i], size, is_power_of_2(size) ? size : 64, 0, NULL);

		for (int type = 0; type < NR_KMALLOC_TYPES; type++)
			kmalloc_caches[type][i] = cache;
	}
}

/* Room for what a small program needs of a cache, so that few of them take pages for it and give them back. */
static void reserve(struct kmem_cache *cache)
{
	unsigned int room = 0;

	for (struct chunk *chunk = cache->chunks; chunk; chunk = chunk->next)
		room += hweight64(chunk->free);
	if (room < cache->objects / 2)
		grow(cache);
}

void fl_slab_mark(void)
{
	for (int i = 0; i < ncaches; i++) {
		reserve(&caches[i]);
		caches[i].live_at_mark = caches[i].live;
		caches[i].last_at_mark = container_of(caches[i].last, struct chunk, next);
		if (caches[i].last == &caches[i].chunks)
			caches[i].last_at_mark = NULL;
		for (struct chunk *chunk = caches[i].chunks; chunk; chunk = chunk->next)
			chunk->free_at_mark = chunk->free;
	}
	large_at_mark = large_live;
	marked = true;
}

/* Gives back the chunks that came since the mark: what a program is given depends on the program alone. */
static void shrink(struct kmem_cache *cache)
{
	struct chunk **link = cache->last_at_mark ? &cache->last_at_mark->next : &cache->chunks;
	struct chunk *chunk = *link;

	*link = NULL;
	cache->last = link;
	while (chunk) {
		struct chunk *next = chunk->next;

		for (unsigned int i = 0; i < 1U << chunk->order; i++)
			chunk_of[index_of(chunk->memory) + i] = NULL;
		__free_pages(virt_to_page(chunk->memory), chunk->order);
		chunk->next = unused;
		unused = chunk;
		chunk = next;
	}
}

void fl_slab_check(void)
{
	for (int i = 0; i < ncaches; i++) {
		struct kmem_cache *cache = &caches[i];

		if (unlikely(cache->live != cache->live_at_mark))
			fl_report(FL_KIND_REFERENCE_LEAK, NULL, "%ld objects of %s left over after teardown",
				  cache->live - cache->live_at_mark, cache->name);
		if (*cache->last || cache->last != (cache->last_at_mark ? &cache->last_at_mark->next : &cache->chunks))
			shrink(cache);
	}
	if (unlikely(large_live != large_at_mark))
		fl_report(FL_KIND_REFERENCE_LEAK, NULL, "%ld big allocations left over after teardown",
			  large_live - large_at_mark);
}

/* Whether the address is `offset` bytes into a struct vm_area_struct. */
bool fl_slab_in_vma(const void *addr, unsigned long offset)
{
	struct chunk *chunk = chunk_at(addr);

	return chunk && chunk->cache == vma_cache && ((char *)addr - chunk->memory) % vma_cache->stride == offset;
}

/* The name of the cache that the address belongs to, empty if to none. */
const char *fl_slab_name(const void *addr)
{
	struct chunk *chunk = chunk_at(addr);

	return chunk ? chunk->cache->name : "";
}

/*
 * What of which cache lies there; false: no slab.  Of memory that kmalloc() gave at start-up `cache` is the place itself, as
 * that is one thing for ever; of such that came later it is NULL, as the place does not tell what it is.
 */
bool fl_slab_place(const void *addr, const void **cache, const char **name, unsigned long *offset)
{
	unsigned long index = index_of(addr), at;
	struct chunk *chunk = chunk_at(addr);

	*cache = NULL;
	if (!chunk)
		return index < FL_ARENA_PAGES && large_order[index];
	at = (const char *)addr - chunk->memory;
	*name = chunk->cache->name;
	*offset = at % chunk->cache->stride;
	if (!chunk->cache->any_kind) {
		*cache = chunk->cache;
	} else if (!marked || !(chunk->free_at_mark >> at / chunk->cache->stride & 1)) {
		*cache = addr;
		*offset = 0;
	}
	return true;
}

/* The allocator's interface to the kernel, by version. */
#ifdef FL_HAVE_KMEM_CACHE_ARGS
struct kmem_cache *__kmem_cache_create_args(const char *name, unsigned int size, struct kmem_cache_args *args,
					    slab_flags_t flags)
{
	return cache_create(name, size, args->align, flags, args->ctor);
}
#else
struct kmem_cache *kmem_cache_create(const char *name, unsigned int size, unsigned int align, slab_flags_t flags,
				     void (*ctor)(void *))
{
	return cache_create(name, size, align, flags, ctor);
}

struct kmem_cache *kmem_cache_create_usercopy(const char *name, unsigned int size, unsigned int align,
					      slab_flags_t flags, unsigned int offset, unsigned int usersize,
					      void (*ctor)(void *))
{
	return cache_create(name, size, align, flags, ctor);
}
#endif

#undef kmem_cache_alloc
#undef kmem_cache_alloc_lru
#undef kmem_cache_alloc_node
#undef kmem_cache_alloc_bulk
#define CACHE_ALLOC(name) void *name(struct kmem_cache *cache, gfp_t gfp) { return object_alloc(cache, gfp); }
#define CACHE_ALLOC_LRU(name) \
void *name(struct kmem_cache *cache, struct list_lru *lru, gfp_t gfp) { return object_alloc(cache, gfp); }
#define CACHE_ALLOC_NODE(name) \
void *name(struct kmem_cache *cache, gfp_t gfp, int node) { return object_alloc(cache, gfp); }
#define CACHE_ALLOC_BULK(name) \
BULK_RESULT name(struct kmem_cache *cache, gfp_t gfp, size_t count, void **objects) { return alloc_bulk(cache, gfp, count, objects); }

#ifdef FL_HAVE_SLAB_BULK_BOOL
#define BULK_RESULT	bool	/* all or nothing */
#else
#define BULK_RESULT	int	/* how many */
#endif

static int alloc_bulk(struct kmem_cache *cache, gfp_t gfp, size_t count, void **objects)
{
	for (size_t i = 0; i < count; i++) {
		objects[i] = object_alloc(cache, gfp);
		if (!objects[i]) {
			while (i--)
				object_free(chunk_at(objects[i]), objects[i]);
			return 0;
		}
	}
	return count;
}

#ifdef FL_HAVE_ALLOC_NOPROF
CACHE_ALLOC(kmem_cache_alloc_noprof)
CACHE_ALLOC_LRU(kmem_cache_alloc_lru_noprof)
CACHE_ALLOC_NODE(kmem_cache_alloc_node_noprof)
CACHE_ALLOC_BULK(kmem_cache_alloc_bulk_noprof)
void *__kmalloc_noprof(size_t size, gfp_t gfp) { return memory_alloc(size, gfp); }
void *__kmalloc_large_noprof(size_t size, gfp_t gfp) { return big_alloc(size, gfp); }
void *__kmalloc_cache_node_noprof(struct kmem_cache *cache, gfp_t gfp, int node, size_t size)
{
	return object_alloc(cache, gfp);
}
void *__kmalloc_cache_noprof(struct kmem_cache *cache, gfp_t gfp, size_t size) { return object_alloc(cache, gfp); }
#else
CACHE_ALLOC(kmem_cache_alloc)
CACHE_ALLOC_LRU(kmem_cache_alloc_lru)
#if !defined(FL_HAVE_SLAB_NODE_INLINE) || defined(CONFIG_NUMA)
CACHE_ALLOC_NODE(kmem_cache_alloc_node)
void *__kmalloc_node(size_t size, gfp_t gfp, int node) { return memory_alloc(size, gfp); }
#endif
CACHE_ALLOC_BULK(kmem_cache_alloc_bulk)
void *__kmalloc(size_t size, gfp_t gfp) { return memory_alloc(size, gfp); }
void *kmalloc_node_trace(struct kmem_cache *cache, gfp_t gfp, int node, size_t size) { return object_alloc(cache, gfp); }
void *kmalloc_trace(struct kmem_cache *cache, gfp_t gfp, size_t size) { return object_alloc(cache, gfp); }
#endif

void kmem_cache_free(struct kmem_cache *cache, void *object)
{
	struct chunk *chunk = chunk_at(object);

	if (unlikely(!chunk || chunk->cache != cache))
		fl_report(FL_KIND_USE_AFTER_FREE, NULL, "object freed to %s, which is not its cache", cache->name);
	if (fl_canary_is(LEAK_SLAB) && !strcmp(cache->name, "anon_vma"))
		return;
	object_free(chunk, object);
}

void kmem_cache_free_bulk(struct kmem_cache *cache, size_t count, void **objects)
{
	for (size_t i = 0; i < count; i++)
		kmem_cache_free(cache, objects[i]);
}

/* keeps: what vmalloc() gives.  leaves out: an address range of its own; these are pages in one piece. */
#if FL_KVER >= 610
void *__kmalloc_node_noprof(size_t size, gfp_t gfp, int node) { return memory_alloc(size, gfp); }
void *vzalloc_noprof(unsigned long size) { return memory_alloc(size, GFP_KERNEL | __GFP_ZERO); }
void *__vmalloc_node_range_noprof(unsigned long size, unsigned long align, unsigned long start, unsigned long end,
				  gfp_t gfp, pgprot_t prot, unsigned long flags, int node, const void *caller)
#else
void *vzalloc(unsigned long size) { return memory_alloc(size, GFP_KERNEL | __GFP_ZERO); }
void *__vmalloc_node_range(unsigned long size, unsigned long align, unsigned long start, unsigned long end,
			   gfp_t gfp, pgprot_t prot, unsigned long flags, int node, const void *caller)
#endif
{
	return memory_alloc(size, gfp);
}
bool is_vmalloc_addr(const void *addr) { return false; }

void kfree(const void *object) { memory_free(object); }
void kvfree(const void *object) { memory_free(object); }
void kfree_sensitive(const void *object) { memory_free(object); }
void vfree(const void *object) { memory_free(object); }

#ifdef FL_HAVE_SLAB_SHEAF
/*
 * Objects set aside, so that taking them later cannot fail.
 * keeps: what was asked for is there or the call fails.  leaves out: spare objects, use of one sheaf by several callers.
 */
struct slab_sheaf {
	unsigned int count, room;
	void *objects[];
};

static bool sheaf_fill(struct kmem_cache *cache, gfp_t gfp, struct slab_sheaf *sheaf, unsigned int count)
{
	while (sheaf->count < count) {
		void *object = object_alloc(cache, gfp);

		if (!object)
			return false;
		sheaf->objects[sheaf->count++] = object;
	}
	return true;
}

void kmem_cache_return_sheaf(struct kmem_cache *cache, gfp_t gfp, struct slab_sheaf *sheaf)
{
	while (sheaf->count)
		kmem_cache_free(cache, sheaf->objects[--sheaf->count]);
	memory_free(sheaf);
}

struct slab_sheaf *kmem_cache_prefill_sheaf(struct kmem_cache *cache, gfp_t gfp, unsigned int count)
{
	struct slab_sheaf *sheaf = memory_alloc(struct_size(sheaf, objects, count), gfp);

	if (!sheaf)
		return NULL;
	sheaf->count = 0;
	sheaf->room = count;
	if (sheaf_fill(cache, gfp, sheaf, count))
		return sheaf;
	kmem_cache_return_sheaf(cache, gfp, sheaf);
	return NULL;
}

int kmem_cache_refill_sheaf(struct kmem_cache *cache, gfp_t gfp, struct slab_sheaf **sheafp, unsigned int count)
{
	struct slab_sheaf *old = *sheafp, *bigger;

	if (count <= old->room)
		return sheaf_fill(cache, gfp, old, count) ? 0 : -ENOMEM;
	bigger = kmem_cache_prefill_sheaf(cache, gfp, count);
	if (!bigger)
		return -ENOMEM;
	kmem_cache_return_sheaf(cache, gfp, old);
	*sheafp = bigger;
	return 0;
}

void *kmem_cache_alloc_from_sheaf_noprof(struct kmem_cache *cache, gfp_t gfp, struct slab_sheaf *sheaf)
{
	void *object = sheaf->count ? sheaf->objects[--sheaf->count] : NULL;

	if (object && (gfp & __GFP_ZERO))
		memset(object, 0, cache->size);
	return object;
}

unsigned int kmem_cache_sheaf_size(struct slab_sheaf *sheaf)
{
	return sheaf->count;
}
#endif

#ifdef DECL_KMALLOC_PARAMS
/* Before, mm/util.c had it. */
void *__kvmalloc_node_noprof(DECL_KMALLOC_PARAMS(size, b, token), unsigned long align, gfp_t gfp, int node)
{
	return memory_alloc(size, gfp);
}
#endif
