/* Log lines on standard error: "12:03:04.123 info  coordinator: text key=value". One line per
 * event. */
#ifndef SKY_BASE_LOG_H
#define SKY_BASE_LOG_H

typedef enum sky_log_level {
    SKY_LOG_ERROR,
    SKY_LOG_WARN,
    SKY_LOG_INFO,
    SKY_LOG_DEBUG
} sky_log_level;

/* The default is SKY_LOG_WARN, or $SKYLINE_LOG (error, warn, info, debug). */
void sky_log_set_level(sky_log_level level);
sky_log_level sky_log_get_level(void);
/* Where a finished line goes (without newline); NULL restores standard error. A progress bar uses
 * it. The sink is called by one thread at a time and must not log. */
void sky_log_set_sink(void (*sink)(void *arg, sky_log_level level, const char *line), void *arg);
void sky_log(sky_log_level level, const char *module, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
