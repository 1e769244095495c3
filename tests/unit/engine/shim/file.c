// SPDX-License-Identifier: GPL-2.0-or-later
/* A file, its inode, and reading from pages. */
#include "shim.h"

struct file *anon_inode_create_getfile(const char *name,
				       const struct file_operations *fops,
				       void *data, int flags, void *context)
{
	struct file *f = kzalloc(sizeof(*f), GFP_KERNEL);
	struct inode *i = f ? kzalloc(sizeof(*i), GFP_KERNEL) : NULL;

	if (!i) {
		kfree(f);
		return ERR_PTR(-ENOMEM);
	}
	*i = (struct inode){ .i_mapping = &i->i_data, .i_data.host = i,
			     .refs.counter = 1 };
	*f = (struct file){ .f_op = fops, .private_data = data, .inode = i,
			    .f_flags = flags, .refs.counter = 1 };
	return f;
}

void fput(struct file *f)
{
	if (atomic_dec_return(&f->refs))
		return;
	f->f_op->release(f->inode, f);
	iput(f->inode);
	kfree(f);
}

static size_t moved(size_t n, struct iov_iter *to)
{
	to->to += n;
	to->count -= n;
	return n;
}

size_t copy_page_to_iter(struct page *p, size_t offset, size_t n,
			 struct iov_iter *to)
{
	size_t half = n / 2;

	fiber_point();
	memcpy(to->to, (char *)p->data + offset, half);
	fiber_point();
	memcpy(to->to + half, (char *)p->data + offset + half, n - half);
	return moved(n, to);
}

size_t iov_iter_zero(size_t n, struct iov_iter *to)
{
	memset(to->to, 0, n);
	return moved(n, to);
}
