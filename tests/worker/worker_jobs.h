/* Jobs that misbehave in ways of their own, for the tests of worker/. The test programs and the executor
 * that they start both add them to the registry. */
#ifndef SKY_TESTS_WORKER_JOBS_H
#define SKY_TESTS_WORKER_JOBS_H

void test_jobs_add(void);

#endif
