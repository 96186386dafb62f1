/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory is one block, also with NUMA: there are no sections, and no memory is hot-plugged. */
