"""What others push to us: one file a kind of sender, joined in `routes`, proven in `auth`."""
