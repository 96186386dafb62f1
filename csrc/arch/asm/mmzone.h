/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FL_ASM_MMZONE_H
#define FL_ASM_MMZONE_H

/* Of trees that leave this to the architecture. */
#ifndef NODE_DATA
extern struct pglist_data *node_data[];
#define NODE_DATA(nid)	(node_data[nid])
#endif

#endif
