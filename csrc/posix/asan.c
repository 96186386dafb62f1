// SPDX-License-Identifier: GPL-2.0-only
/* What ASan finds in the code under test becomes a finding.  Needs halt_on_error=0:suppress_equal_pcs=0. */
#include "fl.h"

#ifdef FL_ASAN
void __asan_set_error_report_callback(void (*callback)(const char *text));
void *__asan_get_report_pc(void);
void *__asan_get_report_bp(void);
const char *__asan_get_report_description(void);

static void on_report(const char *text)
{
	fl_on_asan_error((unsigned long)__asan_get_report_pc(), (unsigned long)__asan_get_report_bp(),
			 __asan_get_report_description());
}
#endif

void fl_posix_watch_asan(void)
{
#ifdef FL_ASAN
	__asan_set_error_report_callback(on_report);
#endif
}
