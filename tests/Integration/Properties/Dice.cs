namespace CdcOrleans.Integration.Properties;

/// <summary>Randomness that a seed decides: the same on every machine and under every runtime (SplitMix64).</summary>
internal sealed class Dice(ulong state)
{
    private ulong _state = state;

    /// <summary>The dice of one place: the master seed and the path to the place.</summary>
    public static Dice Of(long seed, params ReadOnlySpan<int> path)
    {
        var state = (ulong)seed;
        foreach (var step in path)
            state = new Dice(state ^ ((ulong)(uint)step << 17)).Bits();
        return new Dice(state);
    }

    public ulong Bits()
    {
        var z = _state += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    /// <summary>From 0 to below the bound.</summary>
    public int Below(int bound) => (int)(Bits() % (ulong)bound);

    /// <summary>Both ends included.</summary>
    public int Between(int least, int most) => least + Below(most - least + 1);

    /// <summary>Both ends included.</summary>
    public long Between(long least, long most) => least + (long)(Bits() % (ulong)(most - least + 1));

    public bool Chance(int percent) => Below(100) < percent;

    public T Pick<T>(params IReadOnlyList<T> choices) => choices[Below(choices.Count)];

    /// <summary>Some of the choices, each at most once, in random order.</summary>
    public List<T> Some<T>(IEnumerable<T> choices, int count)
    {
        var all = choices.ToList();
        for (var i = 0; i < all.Count && i < count; i++)
        {
            var j = Between(i, all.Count - 1);
            (all[i], all[j]) = (all[j], all[i]);
        }

        return all[..int.Min(count, all.Count)];
    }

    /// <summary>What one maker of several makes.</summary>
    public string OneOf(params ReadOnlySpan<Func<Dice, string>> makers) => makers[Below(makers.Length)](this);

    public string Join(string separator, int least, int most, Func<Dice, string> make) =>
        string.Join(separator, Enumerable.Range(0, Between(least, most)).Select(_ => make(this)));
}
