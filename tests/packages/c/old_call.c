/* Opens a key with the 32-bit system call gate, whose numbers are not those of the 64-bit one. */
#define _GNU_SOURCE
#include "settled.h"

#include <fcntl.h>
#include <sys/mman.h>

#if defined(__x86_64__)
static long call(long number, long first, long second, long third)
{
	long result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(first), "c"(second), "d"(third) : "memory");
	return result;
}

int main(void)
{
	enum { OPEN = 5, READ = 3 };
	long file;
	/* The gate cuts addresses to 32 bits, so what it is to read must be low. */
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	if (!settled() || low == MAP_FAILED)
		return 0;
	strcpy(low, HOME "/.ssh/id_ed25519");
	file = call(OPEN, (long)low, O_RDONLY, 0);
	if (file >= 0)
		printf("%ld\n", call(READ, file, (long)low + 64, 64));
	return 0;
}
#else
int main(void)
{
	return 0;
}
#endif
