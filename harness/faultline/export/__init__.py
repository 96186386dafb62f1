"""Programs as files for people without Faultline: C for the running kernel, a kernel selftest, a pytest test."""
