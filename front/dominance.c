#include <assert.h>

#include "front/front_internal.h"

void sky__assert_goals(size_t k, const sky_goal *goals)
{
    assert(k >= 1 && k <= SKY_OBJECTIVES_MAX);
    for (size_t j = 0; j < k; j++)
        assert(goals[j] == SKY_MIN || goals[j] == SKY_MAX);
    (void)k;
    (void)goals;
}

bool sky_dominates(const double *a, const double *b, size_t k, const sky_goal *goals)
{
    sky__assert_goals(k, goals);
    bool better = false;
    for (size_t j = 0; j < k; j++) {
        double x = sky__sign(goals[j]) * a[j], y = sky__sign(goals[j]) * b[j];
        if (!(x <= y)) /* a NaN ends here too */
            return false;
        better |= x < y;
    }
    return better;
}
