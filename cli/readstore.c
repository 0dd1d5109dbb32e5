#include "cli/readstore.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cli/term.h"

const char *const cli_format_names[] = {"table", "csv", "json", "jsonl", NULL};

sky_format cli_format_of(const cli_args *a)
{
    sky_format f = SKY_FORMAT_TABLE;
    if (cli_flag(a, "json"))
        return SKY_FORMAT_JSON;
    sky_format_parse(cli_text(a, "format"),
                     &f); /* the option parser let only these names through */
    return f;
}

bool cli_store_read(const cli_args *a, sky_store **out)
{
    sky_error e = {0};
    const sky_store_options options = {.path = cli_text(a, "db")};
    if (sky_store_open(out, &options, &e) == SKY_OK)
        return true;
    cli_fail(a, &e);
    if (e.code == SKY_ENOTFOUND && !cli_given(a, "db"))
        fputs("Name the store with --db FILE or $SKYLINE_DB.\n", stderr);
    return false;
}

bool cli_store_sweep(const cli_args *a, sky_store *s, const char *name, sky_sweep_info *out)
{
    sky_error e = {0};
    if (sky_store_sweep_find(s, name, out, &e) == SKY_OK)
        return true;
    cli_fail(a, &e);
    return false;
}

static sky_err write_out(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    errno = 0;
    if (fwrite(bytes, 1, len, stdout) == len)
        return SKY_OK;
    return errno == EPIPE ? SKY_ECLOSED : SKY_EIO;
}

sky_export_options cli_export_options(const cli_args *a, uint64_t table_rows)
{
    sky_export_options o = {.format = cli_format_of(a), .write = write_out};
    if (cli_given(a, "limit"))
        o.limit = (uint64_t)cli_int(a, "limit");
    else if (o.format == SKY_FORMAT_TABLE)
        o.limit = table_rows;
    if (cli_is_terminal(STDOUT_FILENO))
        o.width = (uint32_t)cli_width(STDOUT_FILENO);
    return o;
}

int cli_export_end(const cli_args *a, const sky_export_options *o, sky_err err, uint64_t rows,
                   const sky_error *e)
{
    if (err == SKY_OK && fflush(stdout) != 0)
        err = errno == EPIPE ? SKY_ECLOSED : SKY_EIO;
    if (err == SKY_ECLOSED) /* `skyline results ... | head` */
        return CLI_OK;
    if (err == SKY_EINVAL || err == SKY_EPERM || err == SKY_EFORMAT)
        return cli_usage(a, "%s", e->text);
    if (err != SKY_OK)
        return e->text[0] ? cli_fail(a, e) : cli_failf(a, "standard output: %s", sky_strerror(err));
    if (o->format == SKY_FORMAT_TABLE && o->limit && rows == o->limit && !cli_given(a, "limit"))
        fprintf(stderr, "The first %" PRIu64 " rows; --limit 0 shows all.\n", rows);
    return CLI_OK;
}
