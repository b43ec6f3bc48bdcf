"""The application: people write documents, and share them."""
