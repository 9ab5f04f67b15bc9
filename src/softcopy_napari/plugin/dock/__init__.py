"""The dock widget: what of engines and targets the user sees and does."""
