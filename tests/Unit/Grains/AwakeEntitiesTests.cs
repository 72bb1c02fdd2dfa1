using CdcOrleans.Grains.Budgets;
using CdcOrleans.Grains.Entities;
using CdcOrleans.Grains.Figures;
using CdcOrleans.Grains.Partitions;
using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Entities;
using Xunit;

namespace CdcOrleans.Unit.Grains;

/// <summary>Which entities are put to sleep first.</summary>
public sealed class AwakeEntitiesTests
{
    private const int Size = 1 << 10;

    // Room for 1024 entities, of which 128 may have been used once only.
    private readonly EntityBudget _budget = new(1024 * Size, 1);
    private readonly List<EntityPresence> _left = [];
    private readonly AwakeEntities _awake;
    private long _now;

    public AwakeEntitiesTests() => _awake = new AwakeEntities(
        _budget,
        new SourceFigures(
            new SourceConfiguration { Name = "shop", Connection = "", Slot = "s", Publication = "p", Tables = [] }, TimeProvider.System, _budget,
            new MemoryBudget(1 << 20), () => []));

    [Fact]
    public void Many_that_were_used_once_leave_those_that_are_used_often_awake()
    {
        var often = Wake(500, uses: 2);
        var once = Wake(2000, uses: 1);
        Assert.Equal(once[..^128], _left);
        Assert.All(often, p => Assert.Equal(EntityPhase.Awake, p.Phase));
        Assert.Equal(628 * Size, _budget.Bytes);
    }

    [Fact]
    public void One_that_comes_back_counts_as_used_again()
    {
        var back = Wake(1, uses: 1, isBack: true);
        Wake(500, uses: 1);
        Assert.DoesNotContain(back[0], _left);
    }

    [Fact]
    public void Beyond_the_budget_those_used_once_leave_first_and_then_the_least_recently_used()
    {
        var often = Wake(1000, uses: 2);
        var once = Wake(24, uses: 1);
        _awake.Use(often[0], ++_now);
        Assert.Empty(_left);
        Wake(30, uses: 2);
        Assert.Equal([.. once, .. often[1..7]], _left);
    }

    [Fact]
    public void Busy_ones_stay()
    {
        var busy = Wake(10, uses: 1);
        foreach (var presence in busy)
            presence.Lifecycle.Give();
        Wake(200, uses: 1);
        Assert.All(busy, p => Assert.DoesNotContain(p, _left));
        Assert.Equal(82, _left.Count);
    }

    [Fact]
    public void Many_busy_ones_do_not_keep_idle_ones_from_being_found()
    {
        foreach (var presence in Wake(100, uses: 2))
            presence.Lifecycle.Give();
        var idle = Wake(924, uses: 2);
        var next = Wake(8, uses: 2);
        for (var turn = 0; turn < 7; turn++)
            _awake.Trim(Leave);
        Assert.Equal(idle[..8], _left);
        Assert.All(next, p => Assert.Equal(EntityPhase.Awake, p.Phase));
    }

    private EntityPresence[] Wake(int count, int uses, bool isBack = false)
    {
        var woken = new EntityPresence[count];
        for (var i = 0; i < count; i++)
        {
            var presence = woken[i] = new EntityPresence(new EntityKey("public.orders", $"{++_now}"));
            presence.Lifecycle.Wake();
            presence.Lifecycle.Woken();
            _awake.Add(presence, Size, _now, isBack);
            for (var use = 0; use < uses; use++)
                _awake.Use(presence, _now);
            _awake.Trim(Leave);
        }

        return woken;
    }

    private void Leave(EntityPresence presence, string reason)
    {
        presence.Lifecycle.Leave();
        _awake.Remove(presence);
        presence.Lifecycle.Left();
        _awake.Left(presence);
        _left.Add(presence);
    }
}
