;; Makes nine tables of nothing.
(core module $empty (table 0 funcref) (table 0 funcref) (table 0 funcref))
(core instance (instantiate $empty))
(core instance (instantiate $empty))
(core instance (instantiate $empty))
