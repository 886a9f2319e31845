cluster = "production"
token_path = "token"
