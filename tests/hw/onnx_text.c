#include "onnx_text.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 64 };

static void varint(sky_buf *b, uint64_t x)
{
    for (; x > 127; x >>= 7)
        sky_buf_putc(b, (char)((x & 127) | 128));
    sky_buf_putc(b, (char)x);
}

static void number(sky_buf *b, unsigned field, int64_t x)
{
    varint(b, field << 3);
    varint(b, (uint64_t)x);
}

static void bytes(sky_buf *b, unsigned field, const void *data, size_t len)
{
    varint(b, field << 3 | 2);
    varint(b, len);
    sky_buf_add(b, data, len);
}

static void text(sky_buf *b, unsigned field, const char *s)
{
    bytes(b, field, s, strlen(s));
}

/* A message goes into its parent and is emptied. */
static void message(sky_buf *parent, unsigned field, sky_buf *child)
{
    bytes(parent, field, sky_buf_str(child), child->len);
    sky_buf_reset(child);
}

static int split(char *line, char **word)
{
    int n = 0;
    for (char *w = strtok(line, " "); w; w = strtok(NULL, " ")) {
        if (n == WORDS_MAX)
            abort();
        word[n++] = w;
    }
    return n;
}

static void input(sky_buf *graph, char **word, int n, int kind)
{
    sky_buf dim = {0}, shape = {0}, tensor = {0}, type = {0}, info = {0};
    for (int i = 2; i < n; i++) {
        if (isdigit((unsigned char)word[i][0]))
            number(&dim, 1, atoll(word[i]));
        else
            text(&dim, 2, word[i]);
        message(&shape, 1, &dim);
    }
    number(&tensor, 1, kind);
    message(&tensor, 2, &shape);
    message(&type, 1, &tensor);
    text(&info, 1, word[1]);
    message(&info, 2, &type);
    message(graph, 11, &info);
    sky_buf_free(&dim);
    sky_buf_free(&shape);
    sky_buf_free(&tensor);
    sky_buf_free(&type);
    sky_buf_free(&info);
}

static void initializer(sky_buf *graph, char **word, int n)
{
    sky_buf tensor = {0};
    const int floats = strcmp(word[0], "weight") == 0, list = strcmp(word[0], "ints") == 0;
    if (floats) {
        for (int i = 2; i < n; i++)
            number(&tensor, 1, atoll(word[i]));
    } else if (list) {
        number(&tensor, 1, n - 2);
    }
    number(&tensor, 2, floats ? 1 : 7);
    for (int i = 2; !floats && i < n; i++)
        number(&tensor, 7, atoll(word[i])); /* one by one: packed is how the script does it */
    text(&tensor, 8, word[1]);
    message(graph, 5, &tensor);
    sky_buf_free(&tensor);
}

static void attribute(sky_buf *node, char *part)
{
    char *word[WORDS_MAX];
    sky_buf a = {0};
    char *end = strchr(part, ';');
    const int list = end != NULL;
    if (end)
        *end = ' ';
    const int n = split(part, word);
    text(&a, 1, word[0]);
    if (n > 1 && word[1][0] == '"')
        bytes(&a, 4, word[1] + 1, strlen(word[1]) - 2);
    else if (n == 2 && !list)
        number(&a, 3, atoll(word[1]));
    else
        for (int i = 1; i < n; i++)
            number(&a, 8, atoll(word[i]));
    message(node, 5, &a);
    sky_buf_free(&a);
}

static void node(sky_buf *graph, char *line)
{
    sky_buf n = {0};
    char *word[WORDS_MAX], *part[16], *rest = strchr(line, ',');
    int parts = 0, outputs = 0;
    while (rest) {
        *rest = 0;
        part[parts++] = rest + 1;
        rest = strchr(rest + 1, ',');
    }
    const int words = split(line, word);
    for (int i = 1; i < words; i++) {
        if (strcmp(word[i], "->") == 0) {
            outputs = 1;
            continue;
        }
        text(&n, outputs ? 2 : 1, strcmp(word[i], "_") == 0 ? "" : word[i]);
        if (outputs == 1)
            text(&n, 3, word[i]);
        outputs += outputs > 0;
    }
    char *op = word[0], *dot = strrchr(op, '.'); /* com.microsoft.Op */
    if (dot) {
        *dot = 0;
        text(&n, 7, op);
        op = dot + 1;
    }
    text(&n, 4, op);
    for (int i = 0; i < parts; i++)
        attribute(&n, part[i]);
    message(graph, 1, &n);
    sky_buf_free(&n);
}

void onnx_from_text(const char *source, sky_buf *out)
{
    sky_buf graph = {0}, opset = {0};
    char *copy = strdup(source);
    for (char *line = copy, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        while (*line == ' ')
            line++;
        char *word[WORDS_MAX], *again = strdup(line);
        const int n = split(again, word);
        if (n == 0) {
            free(again);
            continue;
        }
        if (strcmp(word[0], "input") == 0)
            input(&graph, word, n, 1);
        else if (strcmp(word[0], "tokens") == 0)
            input(&graph, word, n, 7);
        else if (strcmp(word[0], "weight") == 0 || strcmp(word[0], "ints") == 0 ||
                 strcmp(word[0], "int") == 0)
            initializer(&graph, word, n);
        else if (strcmp(word[0], "output") == 0) {
            sky_buf info = {0};
            text(&info, 1, word[1]);
            message(&graph, 12, &info);
            sky_buf_free(&info);
        } else {
            node(&graph, line);
        }
        free(again);
    }
    number(out, 1, 8);
    message(out, 7, &graph);
    number(&opset, 2, 17);
    message(out, 8, &opset);
    if (!sky_buf_ok(out))
        abort();
    sky_buf_free(&graph);
    sky_buf_free(&opset);
    free(copy);
}
