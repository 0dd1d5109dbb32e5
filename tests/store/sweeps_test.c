#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

static sky_error e;
#define OK(call) cr_assert_eq((call), SKY_OK, "%s", e.text)

static sky_store *open_new(void)
{
    sky_store *s = NULL;
    const sky_store_options o = kit_writer(kit_path("s.db"));
    OK(sky_store_open(&s, &o, &e));
    return s;
}

Test(sweeps, found_listed_and_near_names)
{
    sky_store *s = open_new();
    const char *names[] = {"flexsa-resnet50", "gemm.1", "noop"};
    sky_sweep_info i, *all;
    size_t n;
    int64_t id;
    cr_assert_eq(sky_store_sweep_find(s, "noop", &i, &e), SKY_ENOTFOUND);
    cr_assert(strstr(e.text, "none at all"), "%s", e.text);
    for (int k = 0; k < 3; k++) {
        const sky_sweep_spec spec = kit_spec(names[k], &kit_noop, 10);
        OK(sky_store_sweep_create(s, &spec, &id, &e));
    }
    OK(sky_store_commit(s, NULL, &e));
    cr_assert_eq(sky_store_sweep_find(s, "flexsa-resnet5O", &i, &e), SKY_ENOTFOUND);
    cr_assert(strstr(e.text, "did you mean 'flexsa-resnet50'"), "%s", e.text);
    cr_assert_eq(sky_store_sweep_find(s, "zzzzzzzzz", &i, &e), SKY_ENOTFOUND);
    cr_assert(strstr(e.text, "gemm.1"), "%s", e.text);
    OK(sky_store_sweep_list(s, &all, &n, &e));
    cr_assert_eq(n, 3);
    cr_assert_str_eq(all[1].name, "gemm.1");
    cr_assert_str_eq(all[1].job, "noop");
    cr_assert_str_eq(all[1].identity, "identity text");
    cr_assert_gt(all[1].created_ms, 1600000000000);
    for (size_t k = 0; k < n; k++)
        sky_sweep_info_free(&all[k]);
    free(all);
    OK(sky_store_sweep_state(s, id, SKY_SWEEP_PAUSED, "by hand", &e));
    OK(sky_store_sweep_priority(s, id, -5, &e));
    OK(sky_store_sweep_find(s, "noop", &i, &e));
    cr_assert_eq(i.state, SKY_SWEEP_PAUSED);
    cr_assert_str_eq(i.reason, "by hand");
    cr_assert_eq(i.priority, -5);
    sky_sweep_info_free(&i);
    cr_assert_eq(sky_store_sweep_state(s, 99, SKY_SWEEP_DONE, "", &e), SKY_ENOTFOUND);
    cr_assert_eq(sky_store_sweep_priority(s, 99, 1, &e), SKY_ENOTFOUND);
    OK(sky_store_commit(s, NULL, &e));
    sky_store_close(s);
}

static sky_err create(sky_store *s, const char *name, const char *param, const char *metric,
                      const char *derived)
{
    const sky_param p = {.name = param, .type = SKY_INT, .unit = "", .doc = ""};
    const sky_metric m = {.name = metric, .type = SKY_REAL, .unit = "", .doc = ""};
    const sky_expression x = {derived, "1"};
    const sky_descriptor job = {
        .name = "j", .version = "1", .params = &p, .n_params = 1, .metrics = &m, .n_metrics = 1};
    sky_sweep_spec spec = kit_spec(name, &job, 10);
    spec.derived = &x;
    spec.n_derived = derived != NULL;
    int64_t id;
    return sky_store_sweep_create(s, &spec, &id, &e);
}

Test(sweeps, names_that_cannot_be)
{
    sky_store *s = open_new();
    OK(create(s, "taken", "a", "b", NULL));
    cr_assert_eq(create(s, "Taken", "a", "b", NULL), SKY_EEXISTS, "SQL does not tell case");
    cr_assert_eq(create(s, "one", "a", "A", NULL), SKY_EINVAL);
    cr_assert(strstr(e.text, "'a' and 'A'") || strstr(e.text, "'A' and 'a'"), "%s", e.text);
    cr_assert_eq(create(s, "one", "a", "b", "B"), SKY_EINVAL);
    cr_assert_eq(create(s, "one", "Trial", "b", NULL), SKY_EINVAL);
    cr_assert_eq(create(s, "one", "sky_x", "b", NULL), SKY_EINVAL);
    cr_assert_eq(create(s, "one", "a b", "b", NULL), SKY_EINVAL);
    cr_assert_eq(create(s, "one", "a", "\"; DROP TABLE sky_sweeps; --", NULL), SKY_EINVAL);
    cr_assert_eq(create(s, "sky_sweeps", "a", "b", NULL), SKY_EINVAL);
    cr_assert_eq(create(s, "sqlite_x", "a", "b", NULL), SKY_EINVAL);
    cr_assert_eq(create(s, "a b", "a", "b", NULL), SKY_EINVAL);
    OK(create(s, "select", "from", "where", "order")); /* SQL's own words are fine */
    OK(create(s, "1-a.b", "rowid", "oid", "_rowid_"));
    OK(sky_store_commit(s, NULL, &e));
    cr_assert_eq(kit_int(s, "SELECT count(*) FROM sky_sweeps"), 3);
    cr_assert_eq(kit_int(s, "SELECT count(*) FROM \"select\" WHERE \"from\" IS NULL"), 0);
    sky_store_close(s);
}

Test(sweeps, derived_metrics_and_constraints_change)
{
    sky_store *s = open_new();
    const sky_expression one[] = {{"twice", "y * 2"}, {"more", "twice + 1"}};
    const sky_expression limits[] = {{"", "more < 1.1"}, {"", "x IS NOT NULL"}};
    sky_sweep_spec spec = kit_spec("noop", &kit_noop, 100);
    spec.derived = one;
    spec.n_derived = 2;
    spec.constraints = limits;
    spec.n_constraints = 2;
    int64_t id;
    OK(sky_store_sweep_create(s, &spec, &id, &e));
    OK(kit_record(s, id, 0, 100, &e));
    OK(sky_store_commit(s, NULL, &e));
    cr_assert_eq(kit_int(s, "SELECT sum(sky_feasible) FROM noop"), 50);
    cr_assert_eq(kit_int(s, "SELECT max(more) * 1000 FROM noop"), 1198);
    const sky_expression other[] = {{"half", "y / 2"}};
    spec.derived = other;
    spec.n_derived = 1;
    spec.n_constraints = 0;
    spec.positions = 300;
    spec.plan = "another plan";
    OK(sky_store_sweep_update(s, id, &spec, &e));
    OK(kit_record(s, id, 100, 200, &e));
    OK(sky_store_commit(s, NULL, &e));
    cr_assert_eq(kit_int(s, "SELECT sum(sky_feasible) FROM noop"), 200);
    cr_assert_eq(kit_int(s, "SELECT count(*) FROM noop WHERE half * 2 = y"), 200);
    cr_assert_eq(kit_int(s, "SELECT count(*) FROM pragma_table_xinfo('noop') WHERE name = 'twice'"),
                 0);
    cr_assert_eq(kit_int(s, "SELECT generation FROM sky_sweeps"), 2);
    sky_sweep_info i;
    OK(sky_store_sweep_find(s, "noop", &i, &e));
    cr_assert(i.positions == 300 && strcmp(i.plan, "another plan") == 0);
    sky_sweep_info_free(&i);
    spec.name = "other";
    cr_assert_eq(sky_store_sweep_update(s, id, &spec, &e), SKY_EINVAL);
    spec.name = "noop";
    cr_assert_eq(sky_store_sweep_update(s, 77, &spec, &e), SKY_ENOTFOUND);
    cr_assert(!sky_store_dirty(s) || sky_store_commit(s, NULL, &e) == SKY_OK);
    sky_store_close(s);
}

Test(sweeps, expression_that_sqlite_refuses_undoes_the_transaction)
{
    sky_store *s = open_new();
    sky_sweep_spec spec = kit_spec("good", &kit_noop, 100);
    int64_t id;
    OK(sky_store_sweep_create(s, &spec, &id, &e));
    const sky_expression bad[] = {{"d", "no_such_column + 1"}};
    spec.name = "bad";
    spec.derived = bad;
    spec.n_derived = 1;
    cr_assert_eq(sky_store_sweep_create(s, &spec, &id, &e), SKY_EINVAL);
    cr_assert(strstr(e.text, "no_such_column"), "%s", e.text);
    cr_assert(sky_store_dirty(s), "the owner has not heard of it yet");
    spec.n_derived = 0;
    cr_assert_eq(sky_store_sweep_create(s, &spec, &id, &e), SKY_EINVAL, "nothing goes on before");
    cr_assert_eq(sky_store_commit(s, NULL, &e), SKY_EINVAL);
    cr_assert(strstr(e.text, "no_such_column"), "%s", e.text);
    OK(sky_store_commit(s, NULL, &e));
    cr_assert_eq(kit_int(s, "SELECT count(*) FROM sky_sweeps"), 0);
    OK(sky_store_sweep_create(s, &spec, &id, &e));
    OK(sky_store_commit(s, NULL, &e));
    sky_store_close(s);
}
