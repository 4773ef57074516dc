"""One's own model from one's own data: what ``ostinato train CONFIG.toml`` does."""
