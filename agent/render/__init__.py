"""An inspection report for people: as a picture, a web page or terminal text."""
