/* The executor that the tests start: as the hidden subcommand of the program, with more jobs. */
#include <stdio.h>

#include "worker/executor.h"
#include "worker_jobs.h"

int main(int argc, char **argv)
{
    (void)argv;
    if (argc != 1 && argc != 3 && argc != 4) {
        fprintf(stderr, "usage: started by a test\n");
        return 2;
    }
    test_jobs_add();
    return sky_executor_main(3);
}
