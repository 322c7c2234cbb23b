"""The default model: a direct path from features to labels beside a shared one."""
