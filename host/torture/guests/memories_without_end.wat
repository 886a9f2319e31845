;; Makes five memories of nothing.
(core module $empty (memory 0))
(core instance (instantiate $empty))
(core instance (instantiate $empty))
(core instance (instantiate $empty))
(core instance (instantiate $empty))
