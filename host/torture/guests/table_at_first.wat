;; Asks for a million table elements from the beginning.
(table 1000000 funcref)
