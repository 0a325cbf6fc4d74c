/* Processes that make processes until no more are allowed. At most 8,192 and for four seconds, so that a host
 * that failed to bound its guest gets over it. Then a key is read: the sensor must still see. */
#include "read_key.h"

#include <signal.h>
#include <sys/wait.h>

enum { GENERATIONS = 13, SECONDS = 4 };

static void multiply(void)
{
	for (int generation = 0; generation < GENERATIONS; generation++)
		if (fork() == 0)
			alarm(SECONDS);
	alarm(SECONDS);
	pause();
}

int main(void)
{
	if (!settled())
		return 0;
	if (fork() == 0)
		multiply();
	sleep(1);
	read_key();
	return 0;
}
