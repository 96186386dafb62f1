/* SPDX-License-Identifier: GPL-2.0-only */
/* The trace under way; the format stands in harness/faultline/program/trace.py. */
#ifndef FL_TRACE_H
#define FL_TRACE_H

struct fl_trace {
	unsigned char *at, *end;
	int full;
};

static inline void fl_put(struct fl_trace *trace, const void *data, unsigned long len)
{
	if (trace->end - trace->at < (long)len) {
		trace->full = 1;
		return;
	}
	__builtin_memcpy(trace->at, data, len);
	trace->at += len;
}

static inline void fl_put8(struct fl_trace *trace, unsigned char val) { fl_put(trace, &val, 1); }
static inline void fl_put16(struct fl_trace *trace, unsigned short val) { fl_put(trace, &val, 2); }
static inline void fl_put32(struct fl_trace *trace, unsigned int val) { fl_put(trace, &val, 4); }

void fl_put_snapshot(struct fl_trace *trace);
void fl_put_sharing(struct fl_trace *trace);
void fl_put_internals(struct fl_trace *trace);

#endif
