"""The numbers of the verdict: how strongly each rule speaks for (above 0) or against each cause.

One line is one rule of `core/triage/evidence_table.py`, one column one cause, `.` is 0. `prior` is
how likely a cause is beforehand: most login outages that reach many are the vendor's; a quota is
blamed only with a 429, and what the synthetic login does not pass through only where users fail
and the synthetic login does not. `unclear` is a candidate like the others: none of them fits.

`WRITTEN` is what people wrote. `make fit` trains `FITTED` on many worlds, held close to `WRITTEN`
and with its signs, and writes it; a rule without a line there keeps what people wrote.
"""

from __future__ import annotations

from bot.core.model.observation import Cause

PRIOR = "prior"
WRITTEN = """\
rule                          auth0   tenant    quota    probe  network      app upstream  unclear
prior                           0.0     -0.3     -2.0     -0.5     -0.5     -4.0     -4.0     -0.4

blind                             .        .        .        .      5.0        .        .        .
name-never-found               -2.0        .        .      6.0     -1.0        .        .        .
login-refused                     .      1.0        .      3.5     -3.0        .        .        .
login-user-limit               -1.0        .      2.0      4.5     -3.0        .        .        .
login-429                         .        .      5.0     -1.0     -3.0        .        .        .
login-denied                    0.2      3.0        .      1.5     -3.0        .        .        .
login-not-allowed                 .      1.5        .      3.5     -3.0        .        .        .
login-bad-request                 .      2.2        .      2.0     -3.0        .        .        .
login-no-proof                  1.0      7.0        .     -1.0     -3.0        .        .        .
login-wrong-token               0.8      0.8        .      1.8      0.3        .        .        .
login-code                      0.5      3.0        .     -1.0     -3.0        .        .        .
login-server-error              0.8      1.4        .      0.8     -1.5        .        .        .
login-no-names                 -1.0     -1.0        .     -2.0      5.0        .        .        .
login-name-lost                 1.5      0.5        .     -1.0        .        .        .        .
login-intercepted              -0.5      0.3        .     -1.0      3.5        .        .        .
login-untrusted                 0.7      0.4        .     -2.0      2.0        .        .        .
login-gone                      1.5      2.5        .      0.5     -1.0        .        .        .
login-blocked                   0.5      0.3        .      1.0      2.5        .        .        .
login-5xx                       1.2      1.0        .     -2.0     -1.0        .        .        .
login-certificate               1.0      0.5        .     -2.0      1.0        .        .        .
login-hangs                     1.2      0.8        .     -2.0      0.7        .        .        .
login-unreachable               0.7     -2.0        .     -2.0      1.5        .        .        .
custom-only                     0.5      3.2        .        .     -2.0        .        .        .
m2m-refused                    -1.0      1.5        .      3.5     -4.0        .        .        .
m2m-denied                     -1.0      2.8        .      2.6     -4.0        .        .        .
m2m-429                        -1.0        .      5.5     -1.5     -4.0        .        .        .
m2m-only                        2.2      0.8        .     -0.2     -2.0        .        .        .
keys-only                       2.0     -1.0        .     -0.5     -1.0        .        .        .
login-slow                      1.0      0.8     -1.0     -3.0      0.3        .        .        .
login-ok                       -1.0        .        .     -0.5     -1.0        .        .        .

never-ok                       -1.0        .        .      2.5        .        .        .        .
own-restart                    -1.0        .        .      3.0      2.0        .        .        .
sudden                          0.6        .        .        .        .        .        .        .

wellknown-gone                  0.7      2.0     -2.0        .     -0.5        .        .        .
wellknown-blocked               0.5        .     -2.0      0.3      2.5        .        .        .
wellknown-name-lost             0.7     -1.5     -2.0     -3.0        .        .        .        .
wellknown-fails                 1.5     -1.5     -2.0     -3.0      0.7        .        .        .
wellknown-unreachable           0.7     -1.5     -2.0     -3.0      1.5        .        .        .
wellknown-slow                  0.3     -2.0        .        .      1.8        .        .        .
wellknown-ok                      .        .        .        .     -2.5        .        .        .

m2m-fails                       1.2     -0.8        .     -1.5        .        .        .        .
other-login-ok                 -2.5        .        .        .     -3.5        .        .        .
m2m-ok                         -1.5        .     -0.8        .     -2.5        .        .        .
canonical-only                 -0.7        .        .        .     -1.2        .        .        .
token-endpoint-ok              -0.3        .        .        .     -2.5        .        .        .

same-environment-refused        5.0     -5.0        .     -4.0        .        .        .        .
same-environment-fails          3.0     -4.0     -3.0     -4.0        .        .        .        .
users-fail-elsewhere            4.0     -3.0     -2.0        .        .     -3.0     -0.5        .
same-environment-slow           2.5     -4.0        .        .        .        .        .        .
same-environment-ok            -3.0        .     -0.2        .     -2.5        .        .        .

nothing-reached                 1.5     -4.0     -3.0     -4.0      4.5        .        .        .
elsewhere-fails                 1.2     -4.0     -3.0     -4.0      2.2        .        .        .
elsewhere-slow                  0.5     -4.0        .        .      1.5        .        .        .
elsewhere-ok                      .        .        .        .     -2.5        .        .        .

controls-fail                  -2.0     -2.0     -1.0        .      5.5        .        .        .
controls-slow                     .     -2.0        .        .      4.8        .        .        .
controls-ok                       .        .        .        .     -2.7        .        .        .
feed-unreachable               -0.7        .        .        .      2.0        .        .        .
feed-reached                      .        .        .        .     -0.7        .        .        .

notice-fits                     3.0        .        .        .     -1.0        .        .        .
notice-nearby                   2.5        .        .        .        .        .        .        .
notice-silent                  -0.2        .        .        .        .        .        .        .

users-fail-alone                  .      0.3      0.3     -4.0     -2.0      6.1      3.5        .
users-fail                      1.6      1.6      0.8     -4.0     -5.0        .        .        .
log-no-success-alone            1.0     -0.5        .     -2.0        .      4.6      2.0      0.7
users-away                      1.0     -0.5        .     -2.0        .      4.6      2.0      0.7
users-ok                       -5.0     -5.0     -3.5        .        .     -3.0     -3.0        .
users-pass                     -5.0     -5.0     -3.5        .      2.5     -3.0     -3.0        .
users-ok-beside                -0.5     -0.5        .        .        .        .        .        .
users-unknown                     .        .        .        .        .        .        .      1.0

monitor-says                      .        .        .     -1.5     -0.7        .        .        .

one-application                -1.5     -0.5     -0.5        .        .      1.5     -0.5        .
several-applications            0.7      0.3        .        .        .     -0.7      0.3        .

log-quota                         .        .      6.0        .        .     -1.5     -2.0        .
log-platform                    3.5     -1.0        .        .        .     -1.5        .        .
log-database                   -0.3      3.5        .        .        .     -1.0        .        .
log-several-connections         5.0      1.5        .        .        .     -3.0     -1.0        .
log-provider                   -0.5        .        .        .        .     -1.5      5.0        .
log-upstream                   -1.0        .        .        .        .     -2.0      5.0        .
log-push                        2.5        .        .        .        .     -1.5      2.5        .
log-tenant                     -0.5      4.0        .        .        .     -1.5        .        .
log-app                        -1.0      1.0        .        .        .      1.5     -1.0        .
log-one-connection             -1.0      1.3        .        .        .     -1.5      3.0        .
log-no-success                  1.8        .        .     -2.0        .     -1.0     -0.5        .
log-elsewhere                  -1.0        .        .        .        .      3.0     -2.0        .
log-as-ever                    -1.0     -1.0        .        .        .      2.0     -2.0        .

errors-app                        .        .        .        .        .      1.0        .        .
errors-upstream                   .        .        .        .        .     -0.5      1.5        .
errors-tenant                     .      1.2        .        .        .     -0.5      0.4        .
errors-unreachable-alone       -1.0        .        .        .        .      1.8        .        .
errors-unreachable              0.2        .        .        .      0.7     -1.0        .        .

log-attack                     -2.0      0.5      3.5     -1.0        .     -4.0     -3.0        .
quota-low                         .        .      1.5        .        .        .        .        .
traffic-surge                     .        .      1.5        .        .      0.2        .        .

deploy-before                     .        .        .        .      0.8      2.0        .        .

client-before                  -0.5      1.0        .      1.8        .      0.5        .        .
setting-before                 -0.5      2.8        .      0.8        .     -0.3     -0.3        .
"""
WRITTEN_TEMPERATURE = 1.0
"""All scores are multiplied by this. Below 1 it makes sums less sure of themselves."""
FITTED = """\
rule                          auth0   tenant    quota    probe  network      app upstream  unclear
prior                           0.0     -0.7     -2.0     -0.4     -0.4     -4.1     -4.0     -0.1
login-refused                     .      1.0        .      3.6     -3.0        .        .        .
login-denied                    0.2      3.0        .      1.6     -3.0        .        .        .
login-server-error              0.9      1.4        .      0.7     -1.5        .        .        .
login-5xx                       1.2      0.9        .     -2.0     -0.9        .        .        .
login-hangs                     1.1      0.8        .     -2.0      0.7        .        .        .
custom-only                     0.5      3.3        .        .     -2.0        .        .        .
login-slow                      1.0      0.8     -1.0     -3.0      0.4        .        .        .
login-ok                       -0.9        .        .     -0.5     -1.0        .        .        .
wellknown-fails                 1.5     -1.5     -2.0     -3.0      0.8        .        .        .
token-endpoint-ok              -0.3        .        .        .     -2.4        .        .        .
same-environment-fails          2.9     -4.0     -3.0     -4.0        .        .        .        .
elsewhere-fails                 1.1     -4.0     -3.0     -4.0      2.3        .        .        .
controls-fail                  -2.1     -2.0     -1.0        .      5.6        .        .        .
notice-fits                     3.1        .        .        .     -1.0        .        .        .
users-fail-alone                  .      0.1      0.3     -4.0     -2.0      6.0      3.6        .
users-ok                       -5.1     -5.0     -3.5        .        .     -3.0     -3.0        .
log-upstream                   -1.0        .        .        .        .     -2.0      5.1        .
log-one-connection             -1.0      1.3        .        .        .     -1.5      3.1        .
deploy-before                     .        .        .        .      0.8      2.1        .        .
setting-before                 -0.5      2.8        .      0.9        .     -0.3     -0.3        .
"""
FITTED_TEMPERATURE: float | None = 1.0
"""None: nothing was fitted yet."""


def parse_weights(text: str) -> dict[str, dict[Cause, float]]:
    """Return the weights by rule, and the priors, of a text like `WRITTEN`."""
    head, *lines = (line.split() for line in text.splitlines() if line)
    causes = [Cause(name) for name in head[1:]]
    return {
        rule_id: {
            cause: float(cell) for cause, cell in zip(causes, cells, strict=True) if cell != "."
        }
        for rule_id, *cells in lines
    }
