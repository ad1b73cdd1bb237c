"""How the bundles under weights/ are made: recipes/ trains, measure/ records, publish/ writes what people read."""
